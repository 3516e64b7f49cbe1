"""What an order's status says where nothing is left of it, or nothing was known."""

import pytest
from tests.voids import void

from tillroll.events import (
    Event,
    LineRejected,
    LineSourced,
    OrderDetailsChanged,
    OrderLineCancelled,
    OrderPlaced,
    ParcelShipped,
    PickupCollected,
    PickupReady,
    ReturnReceived,
)
from tillroll.projections.order_status import OrderStatus
from tillroll.testing import event, given


def line(kind: str = "PRODUCT") -> dict[str, object]:
    return {
        "line_id": "1",
        "sku": "shoe",
        "location_id": "s",
        "kind": kind,
        "fulfilment": "CARRY_OUT",
        "quantity": 2,
        "unit_price_minor": 500,
    }


def placed(kind: str = "PRODUCT") -> Event:
    return event(OrderPlaced, order_id="o", lines=[line(kind)])


def statuses(*events: Event) -> tuple[list[str], list[str]]:
    outcome = given(*events).when(OrderStatus)
    return outcome.rows()["status"].to_list(), outcome.rows("order_status_lines")["status"].to_list()


def test_an_order_that_was_voided_says_so() -> None:
    sale = placed()
    assert statuses(sale) == (["completed"], ["completed"])
    assert statuses(sale, void(sale)) == (["voided"], ["voided"])
    assert statuses(void(sale), sale, void(sale)) == (["voided"], ["voided"])


def test_an_order_that_was_never_seen_placed_is_incomplete() -> None:
    shipped = event(
        ParcelShipped,
        order_id="o",
        parcel_id="p",
        lines=[{"line_id": "1", "sku": "shoe", "location_id": "s", "quantity": 1}],
    )
    assert statuses(shipped) == (["incomplete"], ["incomplete"])


def test_an_order_of_charges_alone_has_no_goods() -> None:
    assert statuses(placed("CHARGE")) == (["without goods"], [])


def test_a_voided_line_says_so_also_where_its_price_was_not_known() -> None:
    sale = event(OrderPlaced, order_id="o", lines=[line() | {"unit_price_minor": None}])
    assert statuses(sale, void(sale)) == (["voided"], ["voided"])


def test_charges_that_are_dropped_or_given_back_are_no_goods() -> None:
    postage = line("CHARGE") | {"line_id": "2", "sku": "POST", "quantity": 1}
    sale = event(OrderPlaced, order_id="o", lines=[line() | {"fulfilment": "SHIP"}, postage])
    named = {"line_id": "2", "sku": "POST", "location_id": "s", "kind": "CHARGE", "quantity": 1}
    cancelled = event(OrderLineCancelled, order_id="o", lines=[named])
    returned = event(ReturnReceived, order_id="o", return_id="r", lines=[named])
    assert statuses(sale, cancelled, returned) == (["placed"], ["placed"])


@pytest.mark.parametrize("kind", [LineSourced, LineRejected, PickupCollected, PickupReady])
def test_units_that_are_not_known_are_counted_as_such_wherever_they_come_from(kind: type[Event]) -> None:
    sale = event(OrderPlaced, order_id="o", lines=[line() | {"fulfilment": "SHIP"}])
    moved = event(
        kind, order_id="o", lines=[{"line_id": "1", "sku": "shoe", "location_id": "s", "quantity": None}]
    )
    outcome = given(sale, moved).when(OrderStatus)
    assert outcome.rows("order_status_lines")["unknown_quantities"].to_list() == [1]
    assert outcome.rows()["unknown_quantities"].to_list() == [1]
    assert statuses(sale, moved) == (["unknown"], ["unknown"])


def delivered_to(**delivery: str | None) -> Event:
    at = f"2026-03-14T1{len(delivery)}:00Z"
    return event(OrderDetailsChanged, order_id="o", delivery=delivery or None, at=at)


def test_a_delivery_that_is_told_anew_leaves_no_part_of_the_one_before() -> None:
    first = delivered_to(country="FR", postcode_area="75")
    second = delivered_to(country="DE", postcode_area=None, promise="tomorrow")
    outcome = given(placed(), first, second, delivered_to()).when(OrderStatus)
    columns = ("delivery_country", "delivery_postcode_area", "delivery_promise")
    assert outcome.rows().select(columns).rows() == [("DE", None, "tomorrow")]
