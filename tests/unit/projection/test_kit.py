"""The kit for authors of projections: short to write, and plain about what differs."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from tillroll.errors import MalformedEvent, UsageError
from tillroll.events import OrderPlaced, SafetyStockSet, StockCounted, StockReceived
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.projections.channel_sales import ChannelSales
from tillroll.projections.order_status import OrderStatus
from tillroll.projections.store_availability import StoreAvailability
from tillroll.testing import Outcome, event, given

RECEIVED = event(StockReceived, sku="a", location_id="s1", quantity=3, at="2026-01-02T10:00Z")
COUNTED = event(StockCounted, sku="a", location_id="s1", quantity=10, at="2026-01-01T10:00Z")
KEPT_BACK = event(SafetyStockSet, sku="a", location_id="s1", quantity=4)
OTHER = event(StockReceived, sku="b", location_id="s1", quantity=1)


def outcome() -> Outcome:
    return given(RECEIVED, COUNTED, KEPT_BACK, OTHER).when(StoreAvailability)


A = {"sku": "a", "location_id": "s1", "on_hand": 13, "safety_stock": 4, "sellable": 9}
B = {"sku": "b", "location_id": "s1", "on_hand": 1}


def message(of: Outcome, *rows: dict[str, object]) -> str:
    with pytest.raises(AssertionError) as raised:
        of.then(list(rows))
    return str(raised.value)


# --- then ---------------------------------------------------------------------------------------------


def test_rows_may_be_told_in_any_order_and_in_part() -> None:
    outcome().then([A, B]).then([B, A]).then([{"sku": "b"}, {"sku": "a"}])


def test_other_views_are_named() -> None:
    rows = [{"sku": "a", "on_hand": 13, "allocated": 0}, {"sku": "b", "on_hand": 1}]
    outcome().then(rows, view="store_availability_stock").then_nothing(view="store_availability_reservations")


def test_a_value_that_differs_is_shown_with_its_row() -> None:
    told = message(outcome(), A | {"on_hand": 12}, B)
    assert "in the row of sku 'a', location_id 's1', safety_stock 4, sellable 9:" in told
    assert "on_hand is 13, expected 12" in told
    assert "'b'" not in told


def test_a_row_that_is_missing_is_shown() -> None:
    assert "there is no row {'sku': 'c'}" in message(outcome(), A, B, {"sku": "c"})


def test_a_row_too_many_is_shown() -> None:
    assert "there is a row too many: {'sku': 'b'" in message(outcome(), A)


def test_a_column_that_is_none_is_shown_with_those_that_there_are() -> None:
    told = message(outcome(), A | {"on_hands": 13}, B)
    assert "there is no column on_hands; there are sku, location_id, on_hand" in told


def test_equal_rows_are_counted() -> None:
    assert "there is no row" in message(outcome(), A, B, A)


def test_nothing_is_nothing() -> None:
    given().when(StoreAvailability).then_nothing()
    with pytest.raises(AssertionError, match="too many"):
        outcome().then_nothing()


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(UsageError, match="no view 'stock'; it has store_availability, "):
        outcome().then([], view="stock")


def test_rows_are_there_for_what_then_cannot_say() -> None:
    assert outcome().rows().filter(pl.col("on_hand") > 5)["sku"].to_list() == ["a"]


# --- given ----------------------------------------------------------------------------------------------


def test_the_same_event_told_twice_counts_once() -> None:
    given(RECEIVED, RECEIVED).and_then(RECEIVED).when(StoreAvailability).then([{"sku": "a", "on_hand": 3}])


def test_training_is_never_counted() -> None:
    practised = event(StockReceived, sku="a", location_id="s1", quantity=3, training=True)
    given(practised).when(StoreAvailability).then_nothing()


def test_an_order_is_told_in_a_line() -> None:
    placed = event(
        OrderPlaced,
        order_id="o1",
        at="2026-05-05T23:30Z",
        lines=[
            {"sku": "a", "quantity": 2, "amount_minor": 500, "fulfilment": "CARRY_OUT", "location_id": "s1"},
            {"sku": "post", "kind": "CHARGE", "amount_minor": 99, "fulfilment": "SHIP"},
        ],
    )
    given(placed).when(ChannelSales).then(
        [
            {
                "business_date": date(2026, 5, 5),
                "channel": "web",
                "currency": "EUR",
                "units": 2,
                "gross_minor": 599,
            }
        ]
    )
    given(placed).when(OrderStatus).then(
        [{"order_id": "o1", "line_id": "1", "ordered": 2, "status": "completed"}], view="order_status_lines"
    )


def test_events_differ_by_id_and_share_the_rest() -> None:
    one, two = (event(StockReceived, sku="a", location_id="s1", quantity=3) for _ in range(2))
    assert one.event_id != two.event_id
    assert one.occurred_at == two.occurred_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sku": "a", "location_id": "s"}, "quantity"),
        ({"sku": "a", "location_id": "s", "quantity": 2.5}, "quantity"),
        ({"sku": "a", "location_id": "s", "quantity": 2, "quantum": 2}, "quantum"),
    ],
)
def test_what_an_event_is_about_has_to_be_said(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedEvent, match=reason):
        event(StockReceived, **fields)


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(UsageError, match="zone"):
        event(StockReceived, sku="a", location_id="s", quantity=1, at="2026-01-01T10:00")


# --- failing handlers -----------------------------------------------------------------------------------


class Fragile(Projection):
    """Refuses some."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Not a b."""
        if (events.polars["sku"] == "b").any():
            raise ValueError("no b here")
        return events.select("sku", units="quantity")


def test_a_handler_that_fails_is_shown_with_its_traceback() -> None:
    with pytest.raises(
        AssertionError, match=r"(?s)StockReceived was not taken: ValueError: no b here.*Traceback"
    ):
        given(RECEIVED, OTHER).when(Fragile).then([{"sku": "a", "units": 3}])


def test_failing_can_be_expected() -> None:
    failed = given(RECEIVED, OTHER).when(Fragile).then_fails("no b here")
    assert failed.rows()["sku"].to_list() == ["a"]
    with pytest.raises(AssertionError, match="no event fails with 'other'"):
        failed.then_fails("other")
    with pytest.raises(AssertionError, match="every event was taken"):
        given(RECEIVED).when(Fragile).then_fails("no b here")
