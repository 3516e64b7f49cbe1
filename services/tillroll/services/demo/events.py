"""The events of the shoe. The same ids and times in every run: they are facts, telling them again adds nothing."""

from datetime import UTC, date, datetime
from typing import Any

from tillroll.events import (
    DispositionedLine,
    Event,
    LineSourced,
    LineUnits,
    OrderLine,
    OrderPlaced,
    PickupCollected,
    PickupReady,
    ReservationMade,
    ReservationReleased,
    ReturnDispositioned,
    ReturnLine,
    ReturnReceived,
    StockReceived,
    event_id_for,
)

__all__ = [
    "FAR", "HERE", "NEXT", "ORDER", "SHOE", "THIRD",
    "brought_back", "collected", "ordered", "received", "reserved",
]  # fmt: skip

SHOE, ORDER = "demo-shoe-42", "demo-order-42"
HERE, NEXT, FAR, THIRD = "store-franklin", "store-brentwood", "store-nashville", "store-murfreesboro"

DAY = date(2026, 3, 14)
PRICE = 8900  # cents
OF_ORDER: dict[str, Any] = {
    "order_id": ORDER,
    "order_channel": "store",
    "order_business_date": DAY,
    "order_location_id": HERE,
    "currency": "USD",
}


def received(place: str, units: int) -> Event:
    """Goods in."""
    envelope = _envelope("StockReceived", 8, f"{SHOE}/{place}")
    return StockReceived(**envelope, sku=SHOE, location_id=place, quantity=units)


def reserved() -> Event:
    """The pair is set aside, for nobody's order yet."""
    return ReservationMade(**_envelope("ReservationMade", 10), **_reservation(), quantity=1)


def ordered() -> list[Event]:
    """The reservation becomes an order for pickup, which keeps the pair; it is made ready."""
    return [
        OrderPlaced(**_envelope("OrderPlaced", 11, ORDER), **OF_ORDER, lines=[_sold()]),
        LineSourced(**_envelope("LineSourced", 11), **OF_ORDER, lines=[_pair()]),
        ReservationReleased(**_envelope("ReservationReleased", 11), **_reservation()),
        PickupReady(**_envelope("PickupReady", 12), **OF_ORDER, lines=[_pair()]),
    ]


def collected() -> Event:
    """The customer has the pair."""
    return PickupCollected(
        **_envelope("PickupCollected", 15), **OF_ORDER, collector="customer", lines=[_pair()]
    )


def brought_back() -> list[Event]:
    """Back at the third store, and found to be as new."""
    line: dict[str, Any] = {
        "line_id": "1",
        "sku": SHOE,
        "kind": "PRODUCT",
        "location_id": THIRD,
        "quantity": 1,
    }
    header = {**OF_ORDER, "return_id": "demo-return-42"}
    sellable = DispositionedLine(**line, disposition="sellable")
    return [
        ReturnReceived(**_envelope("ReturnReceived", 17), **header, lines=[ReturnLine(**line)]),
        ReturnDispositioned(**_envelope("ReturnDispositioned", 17), **header, lines=[sellable]),
    ]


def _envelope(kind: str, hour: int, key: str = SHOE) -> dict[str, Any]:
    return {
        "event_id": event_id_for("demo", kind, key),
        "source": "demo",
        "channel": "store",
        "occurred_at": datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC),
        "business_date": DAY,
    }


def _reservation() -> dict[str, Any]:
    return {"reservation_id": "demo-1", "sku": SHOE, "location_id": NEXT}


def _pair() -> LineUnits:
    return LineUnits(line_id="1", sku=SHOE, location_id=NEXT, quantity=1)


def _sold() -> OrderLine:
    return OrderLine(
        line_id="1",
        sku=SHOE,
        kind="PRODUCT",
        fulfilment="PICKUP",
        location_id="",
        quantity=1,
        unit_price_minor=PRICE,
        amount_minor=PRICE,
    )
