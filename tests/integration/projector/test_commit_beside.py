"""A commit goes on beside the reading for the next one: whatever becomes of it, every event counts once."""

import threading
from collections.abc import Iterator
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
from tests.voids import void

from tillroll.errors import Replaced, StoreUnavailable
from tillroll.events import Event, StockReceived
from tillroll.log.port import EventLog
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore, Writer
from tillroll.testing import event

pytestmark = pytest.mark.parametrize("log", ["memory"], indirect=True)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(projecting, "FEW", 1)  # whatever is read, there is more to come
    monkeypatch.setattr(Writer, "commit", as_method(gate))
    return gate


@pytest.fixture
def one(log: EventLog, store: PostgresStore, gate: Gate) -> Iterator[Projector]:
    one = Projector(Moved, log, store, CONTRACT, commit_bytes=1)
    yield one
    gate.open.set()
    one.close()


def fold(one: Projector) -> None:
    """Read what is there, and have it folded."""
    for _ in range(100):
        with one._starting_over():
            if batches := list(one._poll(0.01)):
                one._take(batches)
                one._gather()
                return
    raise AssertionError("nothing was read")


def commit_begun(one: Projector, gate: Gate) -> None:
    """Fold what is there, and have its commit on its way."""
    fold(one)
    one._commit_beside()
    assert gate.tried.acquire(timeout=10)


def fold_one_more(one: Projector, log: EventLog, of: Event) -> None:
    """Publish an event and have it folded, while a commit is on its way."""
    publish(log, of)
    one._commit_bytes = 10**9
    fold(one)


def test_reading_and_folding_go_on_while_the_store_takes_in(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate
) -> None:
    publish(log, received(1))
    commit_begun(one, gate)
    fold_one_more(one, log, received(10))
    assert rows(store) == {}
    gate.open.set()
    assert one.flush().events == 2
    assert rows(store) == {"a": 11}
    assert one.flush().events == 0


def test_closing_waits_for_it(one: Projector, log: EventLog, store: PostgresStore, gate: Gate) -> None:
    publish(log, received(1))
    commit_begun(one, gate)
    threading.Timer(0.2, gate.open.set).start()
    one.close()
    assert rows(store) == {"a": 1}


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable("down"), Replaced("by another"), RuntimeError("odd")],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("how", ["flush", "step"])
def test_after_one_that_failed_all_that_came_after_it_is_read_again(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate, error: Exception, how: str
) -> None:
    gate.fails = [error]
    publish(log, received(1))
    commit_begun(one, gate)
    fold_one_more(one, log, received(10))
    gate.open.set()
    if isinstance(error, Replaced):
        assert one.flush().events == 0  # what is ours is claimed anew
    else:
        with pytest.raises(type(error), match=str(error)):
            one.flush() if how == "flush" else one.step(0.5)
    assert rows(store) == {}
    finish(one, log)
    assert rows(store) == {"a": 11}


def test_another_member_claims_in_between(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate
) -> None:
    publish(log, received(1))
    commit_begun(one, gate)
    store.claim(Moved, one._claims)
    fold_one_more(one, log, received(10))
    gate.open.set()
    finish(one, log)
    assert rows(store) == {"a": 11}


def test_an_answer_that_is_lost(one: Projector, log: EventLog, store: PostgresStore, gate: Gate) -> None:
    """The commit stands, and we are told that it failed."""
    commit = gate.commit

    def lost(*given: Any) -> None:
        commit(*given)
        gate.commit = commit
        raise StoreUnavailable("the answer was lost")

    gate.commit = lost
    publish(log, received(1))
    commit_begun(one, gate)
    fold_one_more(one, log, received(10))
    gate.open.set()
    with pytest.raises(StoreUnavailable):
        one.flush()
    finish(one, log)
    assert rows(store) == {"a": 11}


def test_what_cannot_be_stored_is_sifted_out_and_what_came_after_it_is_read_again(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate
) -> None:
    publish(log, received(1), received(2, BAD))
    commit_begun(one, gate)
    fold_one_more(one, log, received(10))
    gate.open.set()
    progress = one.flush()
    assert progress.dead == 1
    finish(one, log)
    assert rows(store) == {"a": 11}
    (message,) = letters(store)
    assert "the store cannot hold" in message


@pytest.mark.parametrize(
    ("beside", "dead"), [((), 0), ((received(5, BAD),), 1)], ids=["which stands", "which is made anew"]
)
def test_voids_see_what_is_on_its_way(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate, beside: tuple[Event, ...], dead: int
) -> None:
    """Of two voids of one event the first is in a commit on its way to the store while the second is folded."""
    three = received(3)
    publish(log, three, received(20), void(three), *beside)
    commit_begun(one, gate)
    fold_one_more(one, log, void(three))
    gate.open.set()
    finish(one, log)
    assert rows(store) == {"a": 20}
    assert ["the store cannot hold" in message for message in letters(store)] == [True] * dead


def test_voids_of_one_commit_that_is_taken_apart(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate
) -> None:
    """One void cannot be stored; of the others, folded apart from each other now, one takes back."""
    three, bad = received(3), received(5, BAD)
    publish(log, three, received(20), bad, void(three), void(bad), void(three), void(three))
    commit_begun(one, gate)
    gate.open.set()
    finish(one, log)
    assert rows(store) == {"a": 20}
    assert len(letters(store)) == 2


def test_a_step_tells_of_the_commit_before(
    one: Projector, log: EventLog, store: PostgresStore, gate: Gate
) -> None:
    gate.open.set()
    publish(log, received(1))
    commit_begun(one, gate)
    publish(log, received(10))
    told = [one.step(0.05).events for _ in range(4)]
    assert sum(told) == 2
    assert rows(store) == {"a": 11}


class TestWhenItIsTime:
    """Catching up, a commit comes with so many bytes of events and of what they contribute, or with a million events."""

    @pytest.fixture
    def one(self, log: EventLog, store: PostgresStore, gate: Gate) -> Iterator[Projector]:
        gate.open.set()
        one = Projector(Moved, log, store, CONTRACT, commit_bytes=10_000)
        yield one
        one.close()

    def held(self, one: Projector, log: EventLog, *events: Event) -> bool:
        """Whether these events are held once they are folded."""
        publish(log, *events)
        while one._pending.events < len(events):
            fold(one)
        return not one._is_due()

    def test_few_events_are_held(self, one: Projector, log: EventLog) -> None:
        assert self.held(one, log, *(received(1, f"s{n}") for n in range(9)))

    def test_large_events_are_not(self, one: Projector, log: EventLog) -> None:
        fields: dict[str, Any] = {"sku": "a", "location_id": "s", "quantity": 1, "reference": "r" * 4_000}
        assert not self.held(one, log, *(event(StockReceived, **fields) for _ in range(3)))

    def test_nor_are_those_that_contribute_much(self, one: Projector, log: EventLog) -> None:
        """Their bodies alone are less than a commit takes."""
        assert not self.held(one, log, *(received(1, f"{n}" * 1_000) for n in range(4)))

    def test_nor_are_too_many(self, one: Projector, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(projecting, "COMMIT_EVENTS", 9)
        assert not self.held(one, log, *(received() for _ in range(9)))
