"""The past of a read model equals a fresh projection of only the events that it holds."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.history.logs import CONTRACT, filled, fresh_rows, now_between, publish, put, rows_of

from tillroll.errors import MalformedEvent, PositionOutOfRange, TooManyFailures
from tillroll.events import StockReceived
from tillroll.history import scan
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.log.group import POLL_BYTES
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Batch, TopicPartition
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.projection.registry import load_projections
from tillroll.projections.store_availability import StoreAvailability
from tillroll.testing import event
from tillroll.testing.order_free import START, generated_history

PROJECTIONS = [pytest.param(each, id=each.name) for each in load_projections().values()]


def past(projection: type[Projection], log: MemoryLog, slice_: Slice | None = None) -> object:
    return rows_of(History(log, CONTRACT).past(projection, slice_))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_as_of_ten_dates_it_is_what_only_the_events_up_to_then_give(projection: type[Projection]) -> None:
    events = generated_history(projection, seed=5, size=200)
    log, chance = filled(events), random.Random(5)
    seen = set()
    for at in [START + timedelta(seconds=chance.randint(-60, 360)) for _ in range(10)]:
        by_then = [each for each in events if each.occurred_at <= at]
        seen.add(len(by_then))
        assert past(projection, log, Slice(as_of=at)) == fresh_rows(projection, by_then)
    assert len(seen) > 3


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_known_at_it_is_what_only_the_events_recorded_by_then_give(projection: type[Projection]) -> None:
    events = generated_history(projection, seed=6, size=60)
    log = filled([])
    for low in range(0, len(events), 15):
        publish(log, events[low : low + 15])
        known = now_between()
        publish(log, events[low + 15 : low + 16])
        assert past(projection, log, Slice(known_at=known)) == fresh_rows(projection, events[: low + 15])
        both = [each for each in events[: low + 15] if each.occurred_at <= START]
        assert past(projection, log, Slice(START, known)) == fresh_rows(projection, both)


def test_pieces_of_any_size_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    events = generated_history(StoreAvailability, seed=7, size=300)
    log = filled([])
    for low in range(0, len(events), 7):
        publish(log, events[low : low + 7])
    whole = past(StoreAvailability, log)
    monkeypatch.setattr(scan, "PIECE_BYTES", 1_000)
    assert past(StoreAvailability, log) == whole == fresh_rows(StoreAvailability, events)


def test_a_log_without_events_has_views_without_rows() -> None:
    found = History(filled([]), CONTRACT).past(StoreAvailability)
    assert found.views["store_availability"].columns[:3] == ["sku", "location_id", "on_hand"]
    assert (len(found.views["store_availability"]), found.events) == (0, 0)


def received(quantity: int, sku: str = "a") -> StockReceived:
    return event(StockReceived, sku=sku, location_id="s", quantity=quantity)


class Grumpy(Projection):
    """Refuses the quantity 13."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All but one."""
        if (events.polars["quantity"] == 13).any():
            raise ValueError("unlucky")
        return events.select("sku", units="quantity")


def test_what_fails_is_told_and_the_rest_stands() -> None:
    found = History(filled([received(2), received(13), received(3)]), CONTRACT).past(Grumpy)
    assert found.views["grumpy"].rows() == [("a", 5)]
    assert [failure.message for failure in found.failures] == ["unlucky"]


def test_a_handler_that_is_wrong_stops_it() -> None:
    with pytest.raises(TooManyFailures, match="unlucky"):
        History(filled([received(13) for _ in range(20)]), CONTRACT).past(Grumpy)


def test_offsets_bound_it() -> None:
    log = filled([])
    for quantity in (1, 2, 4, 8):
        put(log, 0, received(quantity))
    origin = TopicPartition("stock", 0)
    found = History(log, CONTRACT).past(Grumpy, Slice(start={origin: 1}, stop={origin: 3}))
    assert found.views["grumpy"].rows() == [("a", 6)]


def test_a_batch_is_cut_where_the_slice_ends() -> None:
    log = filled([])
    put(log, 0, *map(received, (1, 2, 4, 8)))
    origin = TopicPartition("stock", 0)
    found = History(log, CONTRACT).past(Grumpy, Slice(start={origin: 1}, stop={origin: 3}))
    assert found.views["grumpy"].rows() == [("a", 6)]


class Forgetful(MemoryLog):
    """Holds no longer what stood below offset 2."""

    def start_offset(self, origin: TopicPartition) -> int:
        return min(2, self.end_offset(origin))


def test_a_log_that_lost_its_beginning_is_refused() -> None:
    log = filled([], Forgetful())
    put(log, 0, *map(received, (1, 2, 4)))
    with pytest.raises(PositionOutOfRange, match=r"stock/0: the log holds only offset 2 .* 2 events"):
        History(log, CONTRACT).past(Grumpy)


def test_the_end_of_all_time_is_no_bound() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    found = History(filled([received(2)]), CONTRACT).past(Grumpy, Slice(end, end))
    assert found.views["grumpy"].rows() == [("a", 2)]


def test_only_values_that_hold_the_bytes_are_decoded_and_voids() -> None:
    events = generated_history(StoreAvailability, seed=8, size=60)
    log, wanted = filled([*events, received(1, "shoe-42"), received(2, "hat")]), StoreAvailability.records()
    chunks = History(log, CONTRACT).scan(wanted, Slice(), only=[[b"shoe-42", b"s"], [b"nothing"]])
    found = {record: frame for chunk in chunks for record, frame in chunk.decoded.frames.items()}
    voids = [each for each in events if each.record == "TransactionVoided"]
    assert sorted(found["TransactionVoided"]["event_id"]) == sorted(each.event_id for each in voids)
    assert found["StockReceived"]["sku"].to_list() == ["shoe-42"]
    assert found.keys() == {"TransactionVoided", "StockReceived"}


class Damaged(MemoryLog):
    """Its batches of hats cannot be read: the last byte is gone."""

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        found = super().read(origin, offset, max_bytes)
        return [replace(each, body=each.body[:-1]) if b"hat" in each.body else each for each in found]


def test_batches_without_the_bytes_are_passed_over_unread() -> None:
    log = filled([], Damaged())
    for sku in ("shoe", "hat", "shoe", "coat"):
        put(log, 0, received(2, sku))
    history, wanted = History(log, CONTRACT), StoreAvailability.records()
    chunks = history.scan(wanted, Slice(), only=[[b"shoe", b"s"], [b"coat"]])
    found = [frame for chunk in chunks for frame in chunk.decoded.frames["StockReceived"]["sku"]]
    assert found == ["shoe", "shoe", "coat"]
    with pytest.raises(MalformedEvent):
        list(history.scan(wanted, Slice()))
