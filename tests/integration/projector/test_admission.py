"""Admission on a log that takes duplicates: every id counts once, wherever and however often it stands."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pytest
from tests.integration.projector.admission import (
    CONTRACT,
    STOCK,
    admit,
    conflicts,
    put,
    received,
    record,
    skipped,
)

from tillroll.contract.wire import encode
from tillroll.errors import LogUnavailable, Replaced
from tillroll.events import Event, StockReceived, to_wire
from tillroll.log import group
from tillroll.log.port import EventLog, Position, Record
from tillroll.projections.store_availability import StoreAvailability
from tillroll.publisher import partition_of
from tillroll.services.admission import admitter as admitting
from tillroll.services.admission.admitter import Admitter
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.store import admission
from tillroll.store.admission import CANDIDATES, AdmissionTable, Verdicts
from tillroll.store.postgres import PostgresStore
from tillroll.testing.order_free import generated_history, rows_after, stored_rows
from tillroll.testing.unsettled import UnsettledLog

Finish = Callable[[Projector, EventLog], int]


@pytest.fixture(autouse=True, params=["fetched again", "parked", "beside"])
def _what_waits_for_admission(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much of it is fetched again and its ids are copied, perhaps beside the next reading; little waits in memory, its
    ids go with the statement."""
    little = 1 << 20 if request.param == "parked" else 0
    monkeypatch.setattr(projecting, "PARKED_BYTES", little)
    monkeypatch.setattr(admission, "FEW_ROWS", little - 1)
    if request.param == "beside":
        monkeypatch.setattr(admitting, "FEW", 1)
        monkeypatch.setattr(projecting, "FEW", 1)


@pytest.fixture
def unsettled() -> UnsettledLog:
    log = UnsettledLog()
    log.create_topics(CONTRACT.topics.values())
    return log


@pytest.fixture
def admitter(unsettled: UnsettledLog, store: PostgresStore) -> Iterator[Admitter]:
    admitter = Admitter(unsettled, store, CONTRACT)
    yield admitter
    admitter.close()


# --- duplicates -----------------------------------------------------------------------------------------


def test_the_first_of_equal_ids_counts(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    one, two = received(), received(2)
    places = put(unsettled, 0, one, two, one, one, two)
    assert admit(admitter) == 5
    assert skipped(store) == set(places[2:])
    assert conflicts(store) == []


def test_the_lowest_place_counts_in_whatever_order_they_are_judged(store: PostgresStore) -> None:
    table = AdmissionTable(store)
    assert table.lead(STOCK[:2], lambda origins: dict.fromkeys(origins, 0))
    id_ = received().event_id
    places = [(id_, table.id_of(origin), at) for origin in STOCK[:2] for at in range(50)]
    given = pl.DataFrame(places[::-1], schema=CANDIDATES, orient="row")
    assert table.settle(given, dict.fromkeys(STOCK[:2], 50), lambda repeats: []) == 99
    table.close()
    assert skipped(store) == {Position(*origin, at) for origin in STOCK[:2] for at in range(50)} - {
        Position(*STOCK[0], 0)
    }


@pytest.mark.parametrize("distance", [1, 10, 3_000])
def test_duplicates_are_found_at_any_distance(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter, distance: int
) -> None:
    one = received()
    put(unsettled, 0, one)
    admit(admitter)
    for at in range(0, distance, 500):
        put(unsettled, 0, *(received() for _ in range(min(500, distance - at))))
        admit(admitter)
    again = put(unsettled, 0, one)
    admit(admitter)
    assert skipped(store) == set(again)


def test_duplicates_are_found_on_other_partitions(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    one = received()
    places = [place for partition in (2, 0, 3) for place in put(unsettled, partition, one)]
    admit(admitter)
    assert len(skipped(store)) == 2
    assert skipped(store) < set(places)


def test_both_encodings_of_an_id_are_one(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    one = received()
    schema = CONTRACT.latest("StockReceived")
    wire = encode(schema, one.fields())
    single = Record(b"k", b"\xc3\x01" + schema.fingerprint + wire[5:], one.event_id)
    unsettled.append("stock", 0, [record(one), single])
    admit(admitter)
    assert skipped(store) == {Position("stock", 0, 1)}
    assert len(conflicts(store)) == 1  # other bytes, though they mean the same


def test_bytes_that_hold_no_id_are_let_through_and_stop_nobody(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    good = record(received())
    damaged = bytearray(good.value)
    damaged[20] ^= 0xFF  # no UTF-8 any more
    unsettled.append("stock", 0, [good._replace(value=bytes(damaged)), good, good])
    assert admit(admitter) == 3
    assert skipped(store) == {Position("stock", 0, 2)}


# --- conflicts ------------------------------------------------------------------------------------------


def test_other_bytes_under_a_used_id_are_a_conflict(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    one = received(1)
    other = StockReceived.read(one.fields() | {"quantity": 2})
    put(unsettled, 1, received(), one)
    admit(admitter)
    (place,) = put(unsettled, 3, other)
    admit(admitter)
    assert skipped(store) == {place}
    ((topic, partition, offset, event_id, message),) = conflicts(store)
    assert Position(topic, partition, offset) == place
    assert event_id == one.event_id
    assert "stock/1 offset 1" in message


def test_a_conflict_in_one_batch_is_found(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    one = received(1)
    put(unsettled, 0, one, StockReceived.read(one.fields() | {"quantity": 2}), one)
    admit(admitter)
    assert {place.offset for place in skipped(store)} == {1, 2}
    assert [conflict[2] for conflict in conflicts(store)] == [1]


def test_bytes_without_an_id_are_let_through(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter
) -> None:
    values = [
        b"",
        b"rubbish",
        b"\x00\x00\x00\x00\x01",
        record(received()).value[:30],
        b"rubbi" + record(received()).value[5:],
    ]
    unsettled.append("stock", 0, [Record(b"k", value, "") for value in values * 2])
    admit(admitter)
    assert skipped(store) == set()
    assert Verdicts(store).admitted(STOCK[:1]) == {STOCK[0]: 10}


# --- who admits -----------------------------------------------------------------------------------------


def test_only_one_is_in_office(unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter) -> None:
    second = Admitter(unsettled, store, CONTRACT)
    put(unsettled, 0, received())
    assert admit(admitter) == 1
    assert second.step(0) is None
    admitter.close()
    put(unsettled, 0, received(), received())
    assert admit(second) == 2
    assert admitter.step(0) is None
    second.close()


def test_a_restart_goes_on_where_it_stopped(unsettled: UnsettledLog, store: PostgresStore) -> None:
    one, places = received(), []
    for n in range(4):
        admitter = Admitter(unsettled, store, CONTRACT)
        places += put(unsettled, n % 2, one, received())
        assert admit(admitter) == 2
        admitter.close()
    assert skipped(store) == {place for place in places[2:] if place.offset % 2 == 0}


def test_whatever_fails_what_was_read_is_judged_again(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, settle = received(), AdmissionTable.settle

    def odd(*given: Any) -> int:
        monkeypatch.setattr(AdmissionTable, "settle", settle)
        raise RuntimeError("odd")

    monkeypatch.setattr(AdmissionTable, "settle", odd)
    put(unsettled, 0, one, received())
    with pytest.raises(RuntimeError, match="odd"):
        admit(admitter)
    again = put(unsettled, 1, one)
    assert admit(admitter) == 3
    assert skipped(store) == set(again)


def test_an_office_that_cannot_be_taken_up_is_given_up_again(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(unsettled, 0, received())
    with monkeypatch.context() as down:
        down.setattr(UnsettledLog, "subscribe", unavailable)
        with pytest.raises(LogUnavailable):
            admitter.step(0)
    assert admit(admitter) == 1


def unavailable(*given: Any) -> None:
    raise LogUnavailable("down")


def test_who_lost_the_office_unawares_admits_nothing(unsettled: UnsettledLog, store: PostgresStore) -> None:
    old = Admitter(unsettled, store, CONTRACT)
    put(unsettled, 0, received())
    assert admit(old) == 1
    with store.connection() as connection:  # what a successor does first
        connection.execute("update tillroll.admitted set epoch = epoch + 1")
    put(unsettled, 0, received())
    with pytest.raises(Replaced):
        admit(old)
    assert Verdicts(store).admitted(STOCK[:1]) == {STOCK[0]: 1}
    assert admit(old) == 1  # in office anew
    old.close()


# --- projectors -----------------------------------------------------------------------------------------


def test_projectors_never_pass_the_admitted_position(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter, finish: Finish
) -> None:
    projector = Projector(StoreAvailability, unsettled, store, CONTRACT, commit_bytes=1)
    put(unsettled, 0, *(received() for _ in range(10)))
    for _ in range(3):
        assert projector.step(0.01).events == 0
    admit(admitter)
    put(unsettled, 0, *(received() for _ in range(5)))
    for _ in range(5):
        projector.step(0.01)
    assert store.positions(StoreAvailability)[STOCK[0]] == 10
    admit(admitter)
    finish(projector, unsettled)
    assert store.positions(StoreAvailability)[STOCK[0]] == 15
    projector.close()


def test_projectors_stop_in_the_middle_of_a_batch_and_go_on_from_there(
    unsettled: UnsettledLog, store: PostgresStore, admitter: Admitter, finish: Finish
) -> None:
    put(unsettled, 0, *(received() for _ in range(10)))
    admit(admitter)
    with store.connection() as connection:
        connection.execute(
            "update tillroll.admitted set next_offset = 4 where topic = 'stock' and partition = 0"
        )
    projector = Projector(StoreAvailability, unsettled, store, CONTRACT, commit_bytes=1)
    for _ in range(3):
        projector.step(0.01)
    projector.flush()
    assert on_hand(store) == 4
    with store.connection() as connection:
        connection.execute(
            "update tillroll.admitted set next_offset = 10 where topic = 'stock' and partition = 0"
        )
    finish(projector, unsettled)
    assert on_hand(store) == 10
    projector.close()


def on_hand(store: PostgresStore) -> int:
    with store.connection() as connection:
        return int(connection.execute("select on_hand from store_availability").fetchone()[0])


@pytest.mark.parametrize("seed", range(3))
def test_repeated_anywhere_in_any_partition_gives_the_rows_of_an_undisturbed_run(
    unsettled: UnsettledLog, store: PostgresStore, seed: int, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitters and projectors come and go while events are appended again and again, conflicts among them."""
    monkeypatch.setattr(group.GroupReader.poll, "__defaults__", (2_000,))
    monkeypatch.setattr(projecting, "READ_BYTES", dict.fromkeys(projecting.READ_BYTES, 2_000))
    chance = random.Random(f"admission {seed}")
    history = generated_history(StoreAvailability, seed, 300)
    admitter = Admitter(unsettled, store, CONTRACT)
    projector = Projector(
        StoreAvailability, unsettled, store, CONTRACT, commit_bytes=chance.choice((1, 20_000))
    )
    for part in _arrivals(chance, history):
        _append(unsettled, chance, part)
        for _ in range(chance.randint(0, 3)):
            admitter.step(0)
            projector.step(0)
        if chance.random() < 0.1:
            admitter.close()
            admitter = Admitter(unsettled, store, CONTRACT)
        if chance.random() < 0.1:
            projector.close()
            projector = Projector(StoreAvailability, unsettled, store, CONTRACT, commit_bytes=1)
    admit(admitter)
    finish(projector, unsettled)
    admitter.close()
    projector.close()
    assert stored_rows(StoreAvailability, store) == rows_after(StoreAvailability, [history])


def _arrivals(chance: random.Random, history: Sequence[Event]) -> list[list[Event]]:
    """The history in order, each part followed by some of what was there before."""
    out = []
    for at in range(0, len(history), 10):
        again = chance.sample(list(history[: at + 10]), min(at + 10, chance.randint(0, 12)))
        mixed = [*history[at : at + 10], *again]
        out.append(mixed)
    return out


def _append(log: EventLog, chance: random.Random, events: Sequence[Event]) -> None:
    for one in events:
        topic, key, value = to_wire(one, CONTRACT)
        partition = partition_of(key, 4) if chance.random() < 0.8 else chance.randrange(4)
        log.append(topic, partition, [Record(key, value, one.event_id)])
