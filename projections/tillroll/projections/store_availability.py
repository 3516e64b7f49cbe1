"""What is where, and how much of it can be sold (domain.md 2)."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

import polars as pl

from tillroll.events import (
    LineRejected,
    LineSourced,
    OrderLineAdded,
    OrderLineCancelled,
    OrderPlaced,
    ParcelShipped,
    PickupCollected,
    PickupLapsed,
    ReservationExpired,
    ReservationMade,
    ReservationReleased,
    ReturnDispositioned,
    SafetyStockSet,
    StockAdjusted,
    StockCounted,
    StockReceived,
    TransferClosed,
    TransferReceived,
    TransferShipped,
)
from tillroll.projection import Deltas, Frame, Key, Latest, Level, Max, Min, Projection, Sum, Table, on

__all__ = ["StoreAvailability"]

PLACE = ("sku", "location_id")
UNITS = pl.col("quantity")


class StoreAvailability(Projection):
    """Units per SKU and location: on hand, reserved, in transit, unsellable, safety stock, sellable.

    Negative stock is shown as it is: it says that something was sold before it was booked in.
    """

    class Stock(Table):
        """What moves, counted per SKU and place."""

        sku: Key[str]
        location_id: Key[str]
        on_hand: Level[int]
        allocated: Sum[int]
        in_transit: Sum[int]
        unsellable: Sum[int]
        unknown_quantities: Sum[int]
        safety_stock: Latest[int]
        last_moved_at: Max[datetime]

    class Reservations(Table):
        """Reservations outside an order: units, and how often their end was told; once is the end."""

        reservation_id: Key[str]
        sku: Min[str]
        location_id: Min[str]
        quantity: Sum[int]
        ended: Sum[int]

    views: ClassVar[Mapping[str, str]] = {
        "store_availability": """
            select s.sku, s.location_id, s.on_hand, s.allocated + coalesce(r.quantity, 0) as reserved,
                   s.in_transit, s.unsellable, coalesce(s.safety_stock, 0) as safety_stock,
                   s.on_hand - s.allocated - coalesce(r.quantity, 0) - coalesce(s.safety_stock, 0) as sellable,
                   s.unknown_quantities, s.last_moved_at
              from {stock} as s
              left join (select sku, location_id, cast(sum(quantity) as bigint) as quantity from {reservations}
                          where ended <= 0 group by sku, location_id) as r
                on s.sku = r.sku and s.location_id = r.location_id"""
    }

    @on(OrderPlaced, OrderLineAdded)
    def carried_out(self, events: Frame) -> Deltas:
        """A line carried out of the shop has left its shelf."""
        lines = events.lines().filter(kind="PRODUCT", fulfilment="CARRY_OUT")
        return {self.Stock: _moved(lines, on_hand=-UNITS)}

    @on(LineSourced)
    def sourced(self, events: Frame) -> Deltas:
        """A sourced line is promised from where it was sourced."""
        return {self.Stock: _touched(events.lines(), allocated=UNITS)}

    @on(LineRejected, PickupLapsed)
    def given_up(self, events: Frame) -> Deltas:
        """A rejected or lapsed line is promised no more."""
        return {self.Stock: _touched(events.lines(), allocated=-UNITS)}

    @on(OrderLineCancelled)
    def cancelled(self, events: Frame) -> Deltas:
        """A cancel says itself what it releases, and where."""
        lines = events.lines().select("sku", "released")
        return {self.Stock: _touched(lines.lines("released"), allocated=-UNITS)}

    @on(ParcelShipped, PickupCollected)
    def left(self, events: Frame) -> Deltas:
        """What is shipped or collected leaves the shelf and uses up its promise."""
        return {self.Stock: _moved(events.lines(), on_hand=-UNITS, allocated=-UNITS)}

    @on(ReturnDispositioned)
    def dispositioned(self, events: Frame) -> Deltas:
        """Back on the shelf where it was received, if it can be sold again."""
        sellable = pl.col("disposition") == "sellable"
        lines = events.lines().filter(kind="PRODUCT")
        return {
            self.Stock: [
                _moved(lines.filter(sellable), on_hand=UNITS),
                _moved(lines.filter(~sellable), unsellable=UNITS),
            ]
        }

    @on(StockReceived, StockAdjusted)
    def booked(self, events: Frame) -> Deltas:
        """Goods in, and corrections either way."""
        return {self.Stock: _moved(events, on_hand=UNITS)}

    @on(StockCounted)
    def counted(self, events: Frame) -> Deltas:
        """A count settles what was on hand at its time."""
        return {self.Stock: events.select(*PLACE, on_hand_count="quantity", last_moved_at="occurred_at")}

    @on(TransferShipped)
    def sent(self, events: Frame) -> Deltas:
        """Off the shelf here, on its way there."""
        there = events.select("sku", location_id="destination_id", in_transit=UNITS)
        return {self.Stock: [_moved(events, on_hand=-UNITS), there]}

    @on(TransferReceived)
    def arrived(self, events: Frame) -> Deltas:
        """What arrived is on hand; what is missing is not on its way any more either."""
        received = pl.col("received")
        gone = -(received + pl.col("missing"))
        rows = events.select(*PLACE, on_hand=received, in_transit=gone, last_moved_at="occurred_at")
        return {self.Stock: rows}

    @on(TransferClosed)
    def closed(self, events: Frame) -> Deltas:
        """The rest of a transfer is given up."""
        return {self.Stock: events.select(*PLACE, in_transit=-UNITS)}

    @on(ReservationMade)
    def reserved(self, events: Frame) -> Deltas:
        """Counted by the view until it ends; the stock row makes sure that there is a place to count it at."""
        return {
            self.Reservations: events.select("reservation_id", *PLACE, "quantity"),
            self.Stock: events.select(*PLACE),
        }

    @on(ReservationReleased, ReservationExpired)
    def ended(self, events: Frame) -> Deltas:
        """Ending twice is ending once, and may be heard of before the beginning."""
        return {self.Reservations: events.select("reservation_id", ended=1)}

    @on(SafetyStockSet)
    def kept_back(self, events: Frame) -> Deltas:
        """The newest setting holds."""
        return {self.Stock: events.select(*PLACE, safety_stock="quantity")}


def _moved(rows: Frame, **columns: pl.Expr) -> Frame:
    return _touched(rows, **columns, last_moved_at=pl.col("occurred_at"))


def _touched(rows: Frame, **columns: pl.Expr) -> Frame:
    return rows.select(*PLACE, **columns, unknown_quantities=UNITS.is_null().cast(pl.Int64))
