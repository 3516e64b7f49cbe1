"""Reservations outside an order: what is reserved, until its end or until it is taken back."""

import base64

import pytest

from tillroll.contract.registry import load_contract
from tillroll.events import (
    Event,
    ReservationExpired,
    ReservationMade,
    ReservationReleased,
    TransactionVoided,
    to_wire,
)
from tillroll.projections.store_availability import StoreAvailability
from tillroll.testing import event, given

CONTRACT = load_contract()
PLACE = {"sku": "shoe", "location_id": "s"}


def made(quantity: int, name: str = "r") -> Event:
    return event(ReservationMade, reservation_id=name, quantity=quantity, **PLACE)


def ended(kind: type[Event] = ReservationReleased, name: str = "r") -> Event:
    return event(kind, reservation_id=name, **PLACE)


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


TEN, RELEASED = made(10), ended()


@pytest.mark.parametrize(
    ("events", "reserved"),
    [
        ([TEN, made(3, "other")], 13),
        ([TEN, RELEASED], 0),
        ([RELEASED, TEN], 0),
        ([TEN, RELEASED, ended(ReservationExpired)], 0),
        ([TEN, void(TEN)], 0),
        ([void(TEN), TEN, made(3)], 3),
        ([TEN, RELEASED, void(RELEASED)], 10),
        ([TEN, RELEASED, void(TEN)], 0),
    ],
)
def test_what_is_reserved(events: list[Event], reserved: int) -> None:
    assert given(*events).when(StoreAvailability).rows()["reserved"].to_list() == [reserved]
