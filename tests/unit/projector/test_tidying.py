"""Tidying goes along with those who project: in bits, told one by one, and it can be stopped between two."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from tillroll.contract.registry import load_contract
from tillroll.errors import StoreUnavailable
from tillroll.services.projector.listening import Outage, Silent
from tillroll.services.projector.workers import TIDY_ROWS, TIDYING, Shared, Tidying


class Untidy:
    """A log with a million bits to tidy. after_each: told how many are done."""

    def __init__(self, after_each: Callable[[int], None]):
        self.after_each, self.done, self.rows = after_each, 0, 0

    def tidy(self, rows: int) -> Iterator[int]:
        """As PostgresLog's."""
        self.rows = rows
        for self.done in range(1, 1_000_000):
            yield 1
            self.after_each(self.done)


class Noted(Silent):
    """Whether it goes on after an outage."""

    goes_on = False

    def resumed(self, seconds: float) -> None:
        """As Listener's."""
        self.goes_on = True


def tidy(log: Untidy, stop: threading.Event, listener: Silent, outage: Outage) -> None:
    def opened() -> Any:
        return nullcontext((log, None))

    worker = Tidying(Shared(opened, load_contract(), listener, outage, stop, threading.Semaphore()))
    worker.start()
    worker.wait()
    assert worker.done.error is None


def test_a_wish_to_stop_is_heard_between_two_bits() -> None:
    stop, listener = threading.Event(), Noted()
    log = Untidy(lambda done: stop.set() if done == 3 else None)
    tidy(log, stop, listener, Outage(listener))
    assert (log.done, log.rows) == (4, TIDY_ROWS)


def test_an_outage_is_over_with_the_first_bit() -> None:
    stop, listener = threading.Event(), Noted()
    outage, heard = Outage(listener), list[bool]()
    outage.begins(TIDYING, StoreUnavailable("down"))

    def note(done: int) -> None:
        heard.append(listener.goes_on)
        stop.set()

    tidy(Untidy(note), stop, listener, outage)
    assert heard == [True]
