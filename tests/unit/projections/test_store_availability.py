"""Reservations outside an order: what is reserved, until its end or until it is taken back."""

import pytest
from tests.voids import void

from tillroll.events import (
    Event,
    ReservationExpired,
    ReservationMade,
    ReservationReleased,
)
from tillroll.projections.store_availability import StoreAvailability
from tillroll.testing import event, given

PLACE = {"sku": "shoe", "location_id": "s"}


def made(quantity: int, name: str = "r") -> Event:
    return event(ReservationMade, reservation_id=name, quantity=quantity, **PLACE)


def ended(kind: type[Event] = ReservationReleased, name: str = "r") -> Event:
    return event(kind, reservation_id=name, **PLACE)


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
