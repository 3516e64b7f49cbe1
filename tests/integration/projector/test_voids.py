"""An event is taken back once, however many voids name it: over batches, restarts, processes and retries."""

import base64
from collections.abc import Iterator

import pytest
from tests import voids
from tests.integration.projector.conftest import Finish, ends_of

from tillroll.contract.registry import load_contract
from tillroll.contract.wire import encode
from tillroll.errors import Replaced
from tillroll.events import Event, StockAdjusted, StockReceived, TransactionVoided
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog, Record, TopicPartition
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.projection.fold import Folded
from tillroll.publisher import Publisher
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.services.projector.retry import Retrier
from tillroll.store import dead_letters
from tillroll.store.postgres import PostgresStore
from tillroll.testing import event

CONTRACT = load_contract()


class Moved(Projection):
    """Units by sku; cannot stand a place called "bad" unless it is mended."""

    mended = False

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived, StockAdjusted)
    def moved(self, events: Frame) -> Frame:
        """All of them."""
        if not Moved.mended and (events.polars["location_id"] == "bad").any():
            raise ValueError("bad")
        return events.select("sku", units="quantity")


@pytest.fixture(autouse=True)
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moved, "mended", False)


@pytest.fixture
def log() -> Iterator[EventLog]:
    log = MemoryLog()
    log.create_topics(CONTRACT.topics.values())
    yield log
    log.close()


def received(quantity: int, place: str = "s") -> Event:
    return event(StockReceived, sku="a", location_id=place, quantity=quantity)


def void(order: str, *events: Event) -> Event:
    return voids.void(*events, order_id=order)


def publish(log: EventLog, *events: Event) -> None:
    Publisher(log, CONTRACT).publish(events)


def units(store: PostgresStore) -> int:
    with store.connection() as connection:
        row = connection.execute("select units from moved where sku = 'a'").fetchone()
    return int(row[0])


def test_in_one_batch_and_in_later_ones(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    three, four = received(3), received(4)
    publish(log, three, four, void("o-1", three), void("o-1", three, three))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    assert units(store) == 4
    publish(log, void("o-2", three))
    finish(one, log)
    one.close()
    publish(log, void("o-3", three, four))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    one.close()
    assert units(store) == 0


def test_in_batches_that_one_commit_takes(
    log: EventLog, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "FEW", 0)  # which would be committed at once
    three = received(3)
    one = Projector(Moved, log, store, CONTRACT, commit_bytes=10**9)
    for order in range(8):
        publish(log, void(f"o-{order}", three))
        one.step(0.0)
    publish(log, three)
    for _ in range(20):
        one.step(0.0)
    assert one.flush().events == 9
    one.close()
    assert units(store) == 0


def test_who_takes_back_what_another_did_meanwhile_commits_nothing(store: PostgresStore) -> None:
    store.install(Moved)
    origins = [TopicPartition("orders", n) for n in range(2)]
    claims = store.claim(Moved, origins)
    for origin, works in zip(origins, (True, False), strict=True):
        writer = store.writer(Moved)
        folded = Folded(taken_back={"018f3c1e-7a5b-7c3d-9e2f-0123456789ab"})
        if works:
            writer.commit(folded, claims, {origin: 5})
        else:
            with pytest.raises(Replaced, match="taken back the same event"):
                writer.commit(folded, claims, {origin: 5})
        writer.close()
    assert store.positions(Moved) == {origins[0]: 5, origins[1]: 0}


def test_two_processes_that_meet_take_back_once(
    log: EventLog, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "FEW", 0)  # which would be committed at once
    three = received(3)
    publish(log, three, *(void(f"o-{n}", three) for n in range(12)))  # over all partitions of orders
    slow, quick = (Projector(Moved, log, store, CONTRACT, 10**9) for _ in range(2))
    ends = ends_of(log, Moved)
    for _ in range(50):
        for _ in range(5):
            slow.step(0.0)
            quick.step(0.0)
        for one in (quick, slow):
            one.flush()
        if not slow.lag(ends):
            break
    assert slow.lag(ends) == 0
    slow.close()
    quick.close()
    assert units(store) == 0


def test_a_void_that_fails_leaves_nothing_behind_and_its_retry_counts_once(
    log: EventLog, store: PostgresStore, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    three, bad = received(3), received(5, "bad")
    publish(log, three, bad, void("o-1", three, bad))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    assert units(store) == 3
    publish(log, void("o-2", three))
    finish(one, log)
    one.close()
    assert units(store) == 0
    monkeypatch.setattr(Moved, "mended", True)
    retrier = Retrier(log, store, CONTRACT, {"moved": Moved})
    retried = [retrier.retry(letter) for letter in dead_letters.find(store)]
    retrier.close()
    assert [each.applied for each in retried] == [True, True]
    assert units(store) == 0


def test_another_event_under_a_voids_event_id_is_a_dead_letter(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    three, four = received(3), received(4)
    wrong = void("o-1", three).fields()["voided"][0] | {"event_id": four.event_id}
    publish(log, three)
    straight(log, event(TransactionVoided, order_id="o-1", voided=[wrong]))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    one.close()
    assert units(store) == 3
    assert [letter.message for letter in dead_letters.find(store)] == [
        f"the void gives event {three.event_id} under another event_id"
    ]


def straight(log: EventLog, of: Event) -> None:
    """Into the log as other publishers may: ours refuses what is quoted wrongly."""
    fields = of.fields()
    value = encode(CONTRACT.latest(of.record), fields)
    log.append(of.topic, 0, [Record(fields["order_id"].encode(), value, of.event_id)])


def test_a_void_of_a_void_is_a_dead_letter_and_the_first_one_stands(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    three = received(3)
    first = void("o-1", three)
    publish(log, three, first)
    straight(log, void("o-2", first))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    one.close()
    assert units(store) == 0
    (letter,) = dead_letters.find(store)
    assert "a void is final" in letter.message


def spelt(log: EventLog, order: str, event_id: str, of: Event) -> None:
    """A void whose publisher spells event_ids in a way of its own."""
    fields = void(order, of).fields()
    inner = encode(CONTRACT.latest(of.record), of.fields() | {"event_id": of.event_id.upper()})
    named = fields["voided"][0] | {"event_id": event_id, "event": base64.b64encode(inner).decode()}
    value = encode(CONTRACT.latest("TransactionVoided"), fields | {"voided": [named]})
    log.append("orders", 0, [Record(order.encode(), value, fields["event_id"])])


def test_an_id_in_capital_letters_is_the_same_id(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    three = received(3)
    publish(log, three, void("o-1", three))
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    spelt(log, "o-2", three.event_id.upper(), three)
    spelt(log, "o-3", three.event_id.upper(), three)
    finish(one, log)
    one.close()
    assert units(store) == 0
    assert dead_letters.find(store) == []


def test_a_name_that_is_no_uuid_is_a_dead_letter_and_the_rest_goes_on(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    three = received(3)
    publish(log, three)
    spelt(log, "o-1", "ticket 12", three)
    one = Projector(Moved, log, store, CONTRACT, 1)
    finish(one, log)
    publish(log, received(4))
    finish(one, log)
    one.close()
    assert units(store) == 7
    (letter,) = dead_letters.find(store)
    assert "under another event_id" in letter.message
