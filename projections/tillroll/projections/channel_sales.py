"""What each channel sold, cancelled, took back and refunded, by book day (domain.md 3)."""

from datetime import date

import polars as pl

from tillroll.events import (
    OrderLineAdded,
    OrderLineCancelled,
    OrderPlaced,
    RefundIssued,
    RefundReversed,
    ReturnReceived,
)
from tillroll.projection import Frame, Key, Projection, Sum, on

__all__ = ["ChannelSales"]

AMOUNT, UNITS = pl.col("amount_minor"), pl.col("quantity")
IS_PRODUCT = pl.col("kind") == "PRODUCT"
ORDER_KEY = {
    "business_date": "order_business_date",
    "channel": "order_channel",
    "location_id": "order_location_id",
    "currency": "currency",
}


class ChannelSales(Projection):
    """Orders, units and money per book day, channel, selling place ('' if none) and currency.

    Sales and cancels count at their order's key; returns and refunds at their own date, channel and place.
    Charges count in money, never in units. Money is in minor units.
    """

    business_date: Key[date]
    channel: Key[str]
    location_id: Key[str]
    currency: Key[str]
    orders: Sum[int]
    units: Sum[int]
    gross_minor: Sum[int]
    cancelled_units: Sum[int]
    cancelled_minor: Sum[int]
    returned_units: Sum[int]
    refunded_minor: Sum[int]
    unknown_quantities: Sum[int]
    unknown_amounts: Sum[int]

    @on(OrderPlaced)
    def placed(self, events: Frame) -> list[Frame]:
        """One order, and its lines."""
        return [events.select(**ORDER_KEY, orders=1), _sold(events)]

    @on(OrderLineAdded)
    def added(self, events: Frame) -> Frame:
        """Lines, whenever they were added."""
        return _sold(events)

    @on(OrderLineCancelled)
    def cancelled(self, events: Frame) -> Frame:
        """What was taken off an order."""
        lines = events.lines()
        return lines.select(**ORDER_KEY, cancelled_units=_units(), cancelled_minor=AMOUNT, **_unknown())

    @on(ReturnReceived)
    def returned(self, events: Frame) -> Frame:
        """Units that came back; their money is the refund's business."""
        unknown = (UNITS.is_null() & IS_PRODUCT).cast(pl.Int64)
        own = ("business_date", "channel", "location_id", "currency")
        return events.lines().select(*own, returned_units=_units(), unknown_quantities=unknown)

    @on(RefundIssued)
    def refunded(self, events: Frame) -> Frame:
        """Money given back."""
        return _money_back(events, AMOUNT)

    @on(RefundReversed)
    def reversed(self, events: Frame) -> Frame:
        """A refund that did not take place after all."""
        return _money_back(events, -AMOUNT)


def _sold(events: Frame) -> Frame:
    return events.lines().select(**ORDER_KEY, units=_units(), gross_minor=AMOUNT, **_unknown())


def _money_back(events: Frame, amount: pl.Expr) -> Frame:
    own = ("business_date", "channel", "location_id", "currency")
    return events.select(*own, refunded_minor=amount, unknown_amounts=AMOUNT.is_null().cast(pl.Int64))


def _units() -> pl.Expr:
    return pl.when(IS_PRODUCT).then(UNITS)


def _unknown() -> dict[str, pl.Expr]:
    return {
        "unknown_quantities": (UNITS.is_null() & IS_PRODUCT).cast(pl.Int64),
        "unknown_amounts": AMOUNT.is_null().cast(pl.Int64),
    }
