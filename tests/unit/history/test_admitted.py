"""Repeats on a log that takes them are passed over: of an id the first place counts."""

import random

import polars as pl
from tests.unit.history.logs import CONTRACT, filled, fresh_rows, now_between, put, rows_of

from tillroll.events import StockReceived
from tillroll.history.admitted import admitted_in
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Record, TopicPartition
from tillroll.projections.store_availability import StoreAvailability
from tillroll.testing import event
from tillroll.testing.order_free import generated_history
from tillroll.testing.unsettled import UnsettledLog


def received(quantity: int = 1) -> StockReceived:
    return event(StockReceived, sku="a", location_id="s", quantity=quantity)


def on_hand(log: MemoryLog, slice_: Slice | None = None) -> list[int]:
    rows = History(log, CONTRACT).past(StoreAvailability, slice_).views["store_availability"]
    return rows["on_hand"].to_list()


def unsettled() -> UnsettledLog:
    log = UnsettledLog()
    log.create_topics(CONTRACT.topics.values())
    return log


def test_a_duplicate_counts_once_at_any_distance_and_on_any_partition() -> None:
    log, one = unsettled(), received(5)
    put(log, 1, one, received(), one)
    put(log, 1, received(), one)
    put(log, 0, one)
    put(log, 3, one)
    assert on_hand(log) == [7]


def test_of_a_conflict_the_first_one_counts() -> None:
    log, one = unsettled(), received(5)
    put(log, 2, one)
    now_between()
    put(log, 0, StockReceived.read(one.fields() | {"quantity": 9}))
    put(log, 2, StockReceived.read(one.fields() | {"quantity": 7}))
    assert on_hand(log) == [5]


def test_an_id_that_was_used_in_another_topic_is_used() -> None:
    log, one = unsettled(), received(5)
    value = b"\x00\x00\x00\x00\x63" + b"\x48" + one.event_id.encode()
    log.append("customers", 0, [Record(b"", value, one.event_id)])
    now_between()
    put(log, 0, one)
    assert on_hand(log) == []


def test_what_was_not_known_yet_settles_nothing() -> None:
    log, one = unsettled(), received(5)
    put(log, 2, one)
    known = now_between()
    put(log, 0, one)
    assert on_hand(log, Slice(known_at=known)) == [5]


def test_shuffled_and_repeated_it_is_the_same_history() -> None:
    events = generated_history(StoreAvailability, seed=9, size=150)
    chance, log = random.Random(9), unsettled()
    for each in chance.sample([*events, *chance.sample(events, 60)], len(events) + 60):
        put(log, chance.randrange(CONTRACT.topics[each.topic].partitions), each)
    assert rows_of(History(log, CONTRACT).past(StoreAvailability)) == fresh_rows(StoreAvailability, events)


def test_bytes_without_an_id_are_let_through() -> None:
    log = unsettled()
    log.append("stock", 0, [Record(b"", b"junk", "1"), Record(b"", b"junk", "1")])
    found = History(log, CONTRACT).past(StoreAvailability)
    assert [failure.error for failure in found.failures] == ["MalformedEvent"] * 2


def test_a_log_that_settles_duplicates_is_not_read_for_them() -> None:
    class Unread(MemoryLog):
        def read(self, *args: object, **kwargs: object) -> list[object]:  # type: ignore[override]
            raise AssertionError("read")

    log = filled([], Unread())
    put(log, 0, received())
    keep = admitted_in(log, CONTRACT, {TopicPartition("stock", 0): (0, 1)}, Slice())
    records = pl.DataFrame({"_batch": [0]})
    assert keep(records, []) is records
