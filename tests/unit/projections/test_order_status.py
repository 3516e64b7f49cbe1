"""What an order's status says where nothing is left of it, or nothing was known."""

import base64

from tillroll.contract.registry import load_contract
from tillroll.events import Event, OrderPlaced, ParcelShipped, TransactionVoided, to_wire
from tillroll.projections.order_status import OrderStatus
from tillroll.testing import event, given

CONTRACT = load_contract()


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


def void(*events: Event) -> Event:
    named = [
        {
            "topic": e.topic,
            "event_id": e.event_id,
            "event": base64.b64encode(to_wire(e, CONTRACT)[2]).decode(),
        }
        for e in events
    ]
    return event(TransactionVoided, order_id="o", voided=named)


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
