"""Events are folded beside the reading of the next ones: whatever becomes of either, every event counts once."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.integration.projector.beside import (
    BAD,
    CONTRACT,
    Gate,
    Moved,
    as_method,
    finish,
    letters,
    publish,
    received,
    rows,
)

from tillroll.errors import Replaced, StoreUnavailable
from tillroll.events import Event
from tillroll.log import extent
from tillroll.log.port import EventLog
from tillroll.projection.fold import Folded, Folder
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore, Writer

pytestmark = pytest.mark.parametrize("log", ["memory"], indirect=True)


class Hold:
    """Stands in for Folder.fold: holds it up, or has it fail, as told."""

    def __init__(self) -> None:
        self.open, self.begun, self.fails = threading.Event(), threading.Semaphore(0), list[Exception]()
        self.open.set()
        self.fold, self.alone = Folder.fold, threading.Lock()

    def __call__(self, *given: Any) -> Folded:
        assert self.alone.acquire(blocking=False), "handlers run one at a time"
        try:
            self.begun.release()
            assert self.open.wait(10)
            if self.fails:
                raise self.fails.pop(0)
            return self.fold(*given)
        finally:
            self.alone.release()


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    hold = Hold()
    monkeypatch.setattr(projecting, "FEW", 1)  # whatever is read, there is more to come
    monkeypatch.setattr(Folder, "fold", as_method(hold))
    return hold


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    gate.open.set()
    monkeypatch.setattr(Writer, "commit", as_method(gate))
    return gate


@pytest.fixture
def one(log: EventLog, store: PostgresStore, hold: Hold, gate: Gate) -> Iterator[Projector]:
    one = Projector(Moved, log, store, CONTRACT, commit_bytes=1)
    yield one
    hold.open.set()
    one.close()


def step_until_begun(one: Projector, hold: Hold) -> None:
    """Step until events are being folded."""
    for _ in range(100):
        assert one.step(0.01).events == 0
        if hold.begun.acquire(timeout=0.01):
            return
    raise AssertionError("nothing was read")


def commit_begun(one: Projector, log: EventLog, hold: Hold, gate: Gate, *events: Event) -> None:
    """Publish these, and have their commit on its way, before a closed gate."""
    gate.open.clear()
    publish(log, *events)
    step_until_begun(one, hold)
    one._gather()
    one._commit_beside()


def steps(one: Projector) -> None:
    for _ in range(50):
        one.step(0.01)


def test_steps_go_on_meanwhile(one: Projector, log: EventLog, store: PostgresStore, hold: Hold) -> None:
    hold.open.clear()
    publish(log, received(1))
    step_until_begun(one, hold)
    assert [one.step(0.01).events for _ in range(3)] == [0, 0, 0]
    publish(log, received(10))
    hold.open.set()
    finish(one, log)
    assert rows(store) == {"a": 11}


def test_both_go_on_while_the_store_takes_in(
    one: Projector, log: EventLog, store: PostgresStore, hold: Hold, gate: Gate
) -> None:
    commit_begun(one, log, hold, gate, received(1))
    publish(log, received(10))
    step_until_begun(one, hold)
    assert rows(store) == {}
    gate.open.set()
    finish(one, log)
    assert rows(store) == {"a": 11}


@pytest.mark.parametrize(
    ("telling", "beside"), [(1, False), (1 << 20, True)], ids=["bulky", "too few to tell"]
)
def test_where_contributions_are_bulky_it_does_not(
    one: Projector, log: EventLog, hold: Hold, telling: int, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "BULKY", 0.0)
    monkeypatch.setattr(projecting, "TELLING_BYTES", telling)
    one._commit_bytes = 10**9
    publish(log, received(1))
    step_until_begun(one, hold)
    one._gather()
    publish(log, received(10))
    step_until_begun(one, hold)
    assert (one._folding is not None) is beside
    assert one._pending.events == (1 if beside else 2)


def test_closing_waits_for_it(one: Projector, log: EventLog, store: PostgresStore, hold: Hold) -> None:
    hold.open.clear()
    publish(log, received(1))
    step_until_begun(one, hold)
    threading.Timer(0.2, hold.open.set).start()
    one.close()
    assert rows(store) == {"a": 1}


@pytest.mark.parametrize("few", [1, 5_000], ids=["beside", "at once"])
@pytest.mark.parametrize(
    "error", [StoreUnavailable("down"), RuntimeError("odd")], ids=lambda e: type(e).__name__
)
def test_where_it_fails_the_same_events_are_read_again(
    one: Projector,
    log: EventLog,
    store: PostgresStore,
    hold: Hold,
    error: Exception,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projecting, "FEW", few)
    hold.fails = [error]
    publish(log, received(1))
    with pytest.raises(type(error), match=str(error)):
        steps(one)
    publish(log, received(10))
    finish(one, log)
    assert rows(store) == {"a": 11}


@pytest.mark.parametrize(
    "error", [StoreUnavailable("down"), RuntimeError("odd")], ids=lambda e: type(e).__name__
)
def test_where_it_fails_beside_a_commit_that_stands_only_what_came_after_is_read_again(
    one: Projector, log: EventLog, store: PostgresStore, hold: Hold, gate: Gate, error: Exception
) -> None:
    commit_begun(one, log, hold, gate, received(1))
    hold.fails = [error]
    publish(log, received(10))
    step_until_begun(one, hold)
    threading.Timer(0.2, gate.open.set).start()
    with pytest.raises(type(error), match=str(error)):
        steps(one)
    publish(log, received(100))
    finish(one, log)
    assert rows(store) == {"a": 111}


def test_what_had_reached_its_limit_is_read_again_too(
    log: EventLog, store: PostgresStore, hold: Hold, gate: Gate
) -> None:
    """One is being committed, with a value that cannot be stored, while the last of what is to be read is read."""
    limit = dict.fromkeys(extent.origins(log, ["stock"]), 2)
    one = Projector(Moved, log, store, CONTRACT, commit_bytes=1, limit=limit)
    commit_begun(one, log, hold, gate, received(1), received(5, BAD))
    publish(log, received(10), received(100))
    step_until_begun(one, hold)
    gate.open.set()
    steps(one)
    one.close()
    assert rows(store) == {"a": 11}
    assert len(letters(store)) == 1


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable("down"), Replaced("by another"), RuntimeError("odd"), None],
    ids=["unavailable", "replaced", "odd", "unstorable"],
)
def test_a_commit_fails_while_later_events_are_folded(
    one: Projector, log: EventLog, store: PostgresStore, hold: Hold, gate: Gate, error: Exception | None
) -> None:
    """One is being committed, two is pending, three is being folded."""
    gate.open.clear()
    gate.fails = [error]
    publish(log, received(1), *([received(5, BAD)] if error is None else []))
    step_until_begun(one, hold)
    publish(log, received(10))
    step_until_begun(one, hold)
    assert gate.tried.acquire(timeout=10)
    hold.open.clear()
    publish(log, received(100))
    threading.Timer(0.2, gate.open.set).start()
    threading.Timer(0.5, hold.open.set).start()
    with suppress(StoreUnavailable, RuntimeError):
        steps(one)
    finish(one, log)
    assert rows(store) == {"a": 111}
    assert len(letters(store)) == (error is None)
