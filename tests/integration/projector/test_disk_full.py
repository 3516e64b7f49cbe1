"""A full disk: who follows the log waits for room and goes on, who was to come to an end says so."""

import threading
import time
from contextlib import nullcontext
from typing import Any

import pytest

from tillroll.contract.registry import load_contract
from tillroll.errors import DiskFull, TillrollError
from tillroll.events import StockReceived
from tillroll.log.memory import MemoryLog
from tillroll.projections.store_availability import StoreAvailability
from tillroll.publisher import Publisher
from tillroll.services.projector import workers
from tillroll.services.projector.listening import Silent
from tillroll.services.projector.runner import Run
from tillroll.store.postgres import PostgresStore, Writer
from tillroll.testing import event

CONTRACT = load_contract()


class Told(Silent):
    """Keeps what is waited for."""

    def __init__(self) -> None:
        self.waits: list[str] = []

    def waiting(self, error: TillrollError) -> None:
        self.waits.append(str(error))


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.create_topics(CONTRACT.topics.values())
    Publisher(log, CONTRACT).publish([event(StockReceived, sku="a", location_id="s", quantity=3)])
    return log


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While this is set, the disk is full."""
    full, commit = threading.Event(), Writer.commit

    def commits(*given: Any) -> None:
        if full.is_set():
            raise DiskFull("the store cannot write: no space left; free space there")
        commit(*given)

    monkeypatch.setattr(Writer, "commit", commits)
    monkeypatch.setattr(workers, "FIRST_WAIT", 0.05)
    full.set()
    return full


def units(store: PostgresStore) -> list[tuple[int, ...]]:
    with store.connection() as connection:
        return list(connection.execute("select on_hand from store_availability").fetchall())


def in_time(store: PostgresStore, wanted: list[tuple[int, ...]]) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end and units(store) != wanted:
        time.sleep(0.05)
    return units(store) == wanted


def test_a_projector_that_follows_waits_and_goes_on(
    log: MemoryLog, store: PostgresStore, full: threading.Event
) -> None:
    told = Told()
    run = Run(lambda: nullcontext((log, store)), CONTRACT, [StoreAvailability], told)
    thread = threading.Thread(target=run.run)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not told.waits and time.monotonic() < end:
            time.sleep(0.05)
        assert "free space there" in told.waits[0]
        assert units(store) == []
        full.clear()
        assert in_time(store, [(3,)])
    finally:
        run.stop()
        thread.join(30)


def test_a_run_to_the_end_says_so(log: MemoryLog, store: PostgresStore, full: threading.Event) -> None:
    (done,) = Run(lambda: nullcontext((log, store)), CONTRACT, [StoreAvailability], once=True).run()
    assert isinstance(done.error, DiskFull)
    full.clear()
    (done,) = Run(lambda: nullcontext((log, store)), CONTRACT, [StoreAvailability], once=True).run()
    assert (done.error, done.events) == (None, 1)
    assert units(store) == [(3,)]
