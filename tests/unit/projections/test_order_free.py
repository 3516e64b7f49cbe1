"""Every projection is order-free; and one that is not is caught, with a test to go on from."""

from datetime import datetime

import polars as pl
import pytest

from tillroll.events import EVENTS, OrderPlaced, StockCounted, StockReceived
from tillroll.projection import First, Frame, Key, Level, Max, Projection, Sum, on, on_each
from tillroll.projection.registry import load_projections
from tillroll.testing.order_free import assert_order_free, generated_history, rows_after

PROJECTIONS = load_projections()


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_every_projection_is_order_free(name: str) -> None:
    assert_order_free(PROJECTIONS[name])


def test_histories_hold_what_is_hard() -> None:
    events = generated_history(PROJECTIONS["store_availability"], 1, 400)
    kinds = {event.record for event in events}
    times = [event.occurred_at for event in events]
    assert {"StockCounted", "StockReceived", "TransactionVoided", "ReservationReleased"} <= kinds
    assert len(set(times)) < len(times) / 5
    assert (max(times) - min(times)).days > 700
    assert any(event.training for event in events)
    assert any(event.source_seq is None for event in events)
    assert len({event.event_id for event in events}) == len(events)
    assert events == generated_history(PROJECTIONS["store_availability"], 1, 400)


# --- those that are not ---------------------------------------------------------------------------------


class LastWord(Projection):
    """Order-dependent: numbers what it is given in the order in which it is given."""

    sku: Key[str]
    words: Sum[int]
    last: Max[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """A running number within the batch."""
        return events.select("sku", words=pl.lit(1), last=pl.int_range(pl.len()))


class Remembers(Projection):
    """Order-dependent: keeps something from batch to batch."""

    sku: Key[str]
    on_hand: Sum[int]

    def __init__(self) -> None:
        self.held: dict[str, int] = {}

    @on_each(StockReceived)
    def received(self, event: dict[str, object]) -> list[dict[str, object]]:
        """What is received adds up here."""
        sku, quantity = str(event["sku"]), int(str(event["quantity"]))
        self.held[sku] = self.held.get(sku, 0) + quantity
        return [{"sku": sku, "on_hand": quantity}]

    @on_each(StockCounted)
    def counted(self, event: dict[str, object]) -> list[dict[str, object]]:
        """A count is turned into a difference to what was seen so far."""
        sku, quantity = str(event["sku"]), int(str(event["quantity"]))
        difference = quantity - self.held.get(sku, 0)
        self.held[sku] = quantity
        return [{"sku": sku, "on_hand": difference}]


class Refuses(Projection):
    """Takes some valid events only."""

    order_id: Key[str]
    first: First[datetime]

    @on(OrderPlaced)
    def placed(self, events: Frame) -> Frame:
        """The key is null where nothing was said."""
        return events.select(order_id="payment_method", first="occurred_at")


class TwiceTold(Projection):
    """Order-free, though two frames of one event give the same column of the same key."""

    sku: Key[str]
    first: First[int]
    level: Level[int]

    @on(StockReceived)
    def received(self, events: Frame) -> list[Frame]:
        """Three times the same place in time."""
        more = events.select("sku", first=pl.col("quantity") + 1)
        return [
            events.select("sku", first="quantity", level="quantity"),
            more,
            more.with_columns(first=pl.lit(-1)),
        ]


@pytest.mark.parametrize("projection", [LastWord, Remembers])
def test_catches_what_depends_on_order(projection: type[Projection]) -> None:
    with pytest.raises(AssertionError, match="the rows depend on how the events arrive") as raised:
        assert_order_free(projection)
    told = str(raised.value)
    assert f"def test_{projection.name}_is_order_free() -> None:" in told
    assert 2 <= told.count("    event_") <= 3, told


def test_the_test_that_is_printed_fails_for_the_same_reason() -> None:
    with pytest.raises(AssertionError) as raised:
        assert_order_free(Remembers)
    code = str(raised.value).partition("as a test:\n\n")[2]
    scope: dict[str, object] = {**EVENTS, "Remembers": Remembers, "rows_after": rows_after}
    exec(code, scope)
    with pytest.raises(AssertionError):
        scope["test_remembers_is_order_free"]()  # type: ignore[operator]


def test_catches_handlers_that_refuse_valid_events() -> None:
    with pytest.raises(AssertionError, match="a valid event is not taken") as raised:
        assert_order_free(Refuses)
    assert "column order_id of table refuses" in str(raised.value)
    assert str(raised.value).count("    event_") == 1


def test_frames_of_one_event_have_an_order_of_their_own() -> None:
    assert_order_free(TwiceTold)
