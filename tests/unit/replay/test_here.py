"""A rebuild that fills in a thread of its own command is told what ends it, and leaves nobody at work."""

import threading
import time
from collections.abc import Callable

import pytest

from tillroll.errors import TillrollError
from tillroll.services.replay.processes import Here


def until_stopped(started: threading.Event, stopped: Callable[[], bool]) -> None:
    started.set()
    while not stopped():
        time.sleep(0.001)


def until_through(here: Here) -> None:
    while here.are_at_work(0.01):
        pass


def test_it_works_until_it_is_through() -> None:
    done: list[int] = []

    def work(number: int, stopped: Callable[[], bool]) -> None:
        done.append(number)

    with Here(work, 7) as here:
        until_through(here)
    assert done == [7]


def test_it_leaves_off_with_the_context() -> None:
    started = threading.Event()
    with Here(until_stopped, started) as here:
        assert started.wait(5)
        assert here.are_at_work(0.01)
    assert not here.are_at_work(0)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (TillrollError("mend the handler"), "mend the handler"),
        (ValueError("odd"), "odd"),
        (SystemExit("told to"), "SystemExit: told to"),
        (KeyboardInterrupt("told to"), "KeyboardInterrupt: told to"),
    ],
)
def test_whatever_ends_it_is_raised(raised: BaseException, told: str) -> None:
    def work(stopped: Callable[[], bool]) -> None:
        raise raised

    with Here(work) as here, pytest.raises(Exception, match=told):
        until_through(here)
