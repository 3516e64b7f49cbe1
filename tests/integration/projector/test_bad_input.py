"""What cannot be applied becomes a dead letter, and the projector goes on; a bad handler stops it."""

import random
import sys
from asyncio import CancelledError
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tillroll.contract.registry import load_contract
from tillroll.contract.wire import encode
from tillroll.errors import TooManyFailures
from tillroll.events import Event, StockReceived
from tillroll.log.port import EventLog, Record, TopicPartition
from tillroll.projection import Frame, Key, Latest, Projection, Sum, on
from tillroll.publisher import Publisher
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore
from tillroll.testing import event

CONTRACT = load_contract()
Finish = Callable[[Projector, EventLog], int]
ORIGIN = TopicPartition("stock", 0)

# An entry of an index has at most 8191 bytes, compressed; of this at least half is left.
TOO_LONG = random.Random("a long key").randbytes(16_384).hex()


class Untellable(Exception):
    """One that fails again when it is told."""

    def __str__(self) -> str:
        raise ValueError


ODD = {
    "cancelled": CancelledError("told to"),
    "interrupt": KeyboardInterrupt("told to"),
    "surrogate": ValueError("a \ud800 and a \x00"),
    "untellable": Untellable(),
    "endless": ValueError("x" * 1_000_000),
}


class Noted(Projection):
    """Sums units; "raise" in the reference makes it fail, "exit" makes it end the process."""

    sku: Key[str]
    units: Sum[int]
    reference: Latest[str]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All but those."""
        if (events.polars["reference"] == "raise").any():
            raise ValueError("told to")
        if (events.polars["reference"] == "exit").any():
            sys.exit("told to")
        for reference, error in ODD.items():
            if (events.polars["reference"] == reference).any():
                raise error
        return events.select("sku", "reference", units="quantity")


def received(sku: str, quantity: int = 1, **more: Any) -> StockReceived:
    return event(StockReceived, sku=sku, location_id="s", quantity=quantity, **more)


def raw(value: bytes, of: Event | None = None) -> Record:
    return Record(b"key", value, (of or received("x")).event_id)


def wire(of: Event, **changed: Any) -> bytes:
    return encode(CONTRACT.latest(of.record), of.fields() | changed)


def letters(store: PostgresStore) -> list[tuple[Any, ...]]:
    with store.connection() as connection:
        found = connection.execute(
            "select topic, partition, log_offset, record, event_id, error, message, value, traceback "
            "from tillroll.dead_letters where projection = 'noted' and version = 1 order by log_offset"
        ).fetchall()
    return list(found)


def rows(store: PostgresStore) -> dict[str, int]:
    with store.connection() as connection:
        return dict(connection.execute("select sku, units from noted").fetchall())


def project(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    projector = Projector(Noted, log, store, CONTRACT, commit_bytes=1)
    try:
        finish(projector, log)
    finally:
        projector.close()


def test_values_that_are_no_events_become_dead_letters_and_the_rest_is_applied(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    good = wire(received("a"))
    bad = [
        b"not avro",
        b"",
        b"\x00\x7f\xff\xff\xff" + good[5:],
        good + b"\x00",
        good[:-1],
        good[:5] + b"\x01" + good[6:],
        good[:6] + b"\xff" + good[7:],
    ]
    records = [raw(value) for value in bad]
    for place in range(0, 14, 2):
        records.insert(place, raw(wire(of := received("a")), of))
    log.append(*ORIGIN, records)
    project(log, store, finish)
    found = letters(store)
    assert [letter[:3] for letter in found] == [(*ORIGIN, offset) for offset in (1, 3, 5, 7, 9, 11, 13)]
    assert {letter[5] for letter in found} == {"MalformedEvent"}
    assert [letter[7] for letter in found] == bad
    assert all(letter[6] for letter in found)
    assert rows(store) == {"a": 7}


def test_an_event_that_a_handler_raises_on_is_kept_with_its_reason(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    events = [received("a") for _ in range(99)]
    events.insert(40, bad := received("a", 50, reference="raise"))
    Publisher(log, CONTRACT).publish(events)
    project(log, store, finish)
    ((topic, _, _, record, event_id, error, message, _, trace),) = letters(store)
    assert (topic, record, event_id) == ("stock", "StockReceived", bad.event_id)
    assert (error, message) == ("ValueError", "told to")
    assert 'raise ValueError("told to")' in trace
    assert rows(store) == {"a": 99}


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("cancelled", "told to"),
        ("interrupt", "told to"),
        ("surrogate", "a \\ud800 and a \\x00"),
        ("untellable", "its message cannot be had: ValueError"),
        ("endless", "x" * 20_000 + "... (1,000,000 characters)"),
    ],
)
def test_whatever_a_handler_raises_is_kept(
    log: EventLog, store: PostgresStore, finish: Finish, reference: str, told: str
) -> None:
    Publisher(log, CONTRACT).publish(
        [*(received("a") for _ in range(99)), received("a", reference=reference)]
    )
    with ThreadPoolExecutor(
        1
    ) as worker:  # as projectors run; only the main thread hears an interrupt of the user
        worker.submit(project, log, store, finish).result()
    ((error, message),) = [letter[5:7] for letter in letters(store)]
    assert (error, message) == (type(ODD[reference]).__name__, told)
    assert rows(store) == {"a": 99}


def test_an_event_that_a_handler_exits_on_is_kept_like_any_that_it_raises_on(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    events = [received("a") for _ in range(99)]
    events.insert(40, bad := received("a", 50, reference="exit"))
    Publisher(log, CONTRACT).publish(events)
    project(log, store, finish)
    ((_, _, _, record, event_id, error, message, _, trace),) = letters(store)
    assert (record, event_id) == ("StockReceived", bad.event_id)
    assert (error, message) == ("SystemExit", "told to")
    assert 'sys.exit("told to")' in trace
    assert rows(store) == {"a": 99}


def test_reading_again_keeps_a_dead_letter_once(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    Publisher(log, CONTRACT).publish([received("a"), received("a", reference="raise")])
    project(log, store, finish)
    with store.connection() as connection:
        connection.execute("update tillroll.positions set next_offset = 0")
        connection.execute("truncate noted_v1.noted")
    project(log, store, finish)
    assert len(letters(store)) == 1
    assert rows(store) == {"a": 1}


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("the store cannot hold", {"sku": "a\x00b"}),
        ("the store cannot hold", {"reference": "nul\x00"}),
        ("the store cannot hold", {"sku": TOO_LONG}),
        ("column units of table noted: a contribution beyond", {"quantity": 2**62}),
        ("column units of table noted: a contribution beyond", {"quantity": -(2**63)}),
    ],
)
def test_values_that_the_store_cannot_hold_stand_alone(
    log: EventLog, store: PostgresStore, finish: Finish, reason: str, bad: dict[str, Any]
) -> None:
    """Events of other publishers: ours refuses a NUL."""
    events = [received("a") for _ in range(50)]
    records = [raw(wire(of), of) for of in events]
    records[17] = raw(wire(events[17], **bad), events[17])
    log.append(*ORIGIN, records)
    project(log, store, finish)
    (letter,) = letters(store)
    assert letter[:5] == (*ORIGIN, 17, "StockReceived", events[17].event_id)
    assert reason in letter[6]
    assert rows(store) == {"a": 49}


@pytest.mark.parametrize("bad", [{"sku": "a\x00b"}, {"quantity": 2**62}])
def test_many_of_them_do_not_stop_a_projector_however_few_others_there_are(
    log: EventLog, store: PostgresStore, finish: Finish, bad: dict[str, Any]
) -> None:
    events = [received("a") for _ in range(120)]
    log.append(*ORIGIN, [raw(wire(of, **bad), of) for of in events[1:]])
    log.append(*ORIGIN, [raw(wire(events[0]), events[0])])
    project(log, store, finish)
    assert len(letters(store)) == 119
    assert rows(store) == {"a": 1}


def test_a_sum_that_outgrows_the_store_stops_before_it_is_wrong(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    Publisher(log, CONTRACT).publish([received("a")])
    project(log, store, finish)
    with store.connection() as connection:
        connection.execute("update noted_v1.noted set units = 9223372036854775807")
    Publisher(log, CONTRACT).publish([last := received("a"), received("b")])
    project(log, store, finish)
    assert [letter[4] for letter in letters(store)] == [last.event_id]
    assert rows(store) == {"a": 9223372036854775807, "b": 1}


def test_a_bad_handler_stops_and_nothing_is_committed(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    events = [received("a", reference="raise" if n % 10 == 0 else None) for n in range(2_000)]
    Publisher(log, CONTRACT).publish(events)
    projector = Projector(Noted, log, store, CONTRACT)
    with pytest.raises(
        TooManyFailures, match=r"noted: 200 of 2000 events failed, the first at stock/\d.*told to"
    ):
        finish(projector, log)
    assert rows(store) == {}
    assert letters(store) == []
    assert set(store.positions(Noted).values()) == {0}
    projector.close()
