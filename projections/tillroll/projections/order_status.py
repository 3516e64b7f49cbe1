"""Where every order and every line of it stands (domain.md 3). Status is derived from counters, never told."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import ClassVar

import polars as pl

from tillroll.events import (
    LineRejected,
    LineSourced,
    OrderDetailsChanged,
    OrderHeld,
    OrderLineAdded,
    OrderLineCancelled,
    OrderPlaced,
    OrderReleased,
    ParcelDelivered,
    ParcelShipped,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentVoided,
    PickupCollected,
    PickupLapsed,
    PickupReady,
    RefundIssued,
    RefundReversed,
    ReturnReceived,
)
from tillroll.projection import (
    Deltas,
    Derived,
    First,
    Frame,
    Key,
    Latest,
    Projection,
    Sum,
    Table,
    derived,
    on,
)

__all__ = ["OrderStatus"]

UNITS, AMOUNT = pl.col("quantity"), pl.col("amount_minor")
LINE = ("order_id", "line_id")

# Precedence, first match wins: what is not known yet; what ended; what is with the customer; what is on its
# way; what waits. `known`: whether it was seen placed; where nothing is left of it then, it was voided.
STAGES = """case
    when ordered = 0 and unknown_quantities = 0 and {known} then 'voided'
    when ordered = 0 and unknown_quantities = 0 then 'incomplete'
    when unknown_quantities > 0 then 'unknown'
    when cancelled >= ordered then 'cancelled'
    when returned >= ordered - cancelled then 'returned'
    when returned > 0 then 'partly returned'
    when delivered + collected >= ordered - cancelled then 'completed'
    when shipped + collected >= ordered - cancelled then 'shipped'
    when shipped + collected > 0 then 'partly shipped'
    when ready > lapsed then 'ready for pickup'
    when sourced > rejected + lapsed then 'sourced'
    when lapsed > 0 then 'lapsed'
    when rejected > 0 then 'rejected'
    else 'placed' end"""
LINE_STATUS = STAGES.format(known="ordered_at is not null")
ORDER_STATUS = STAGES.format(known="lines > 0 and placed_at is not null").replace(
    "case", "case when lines = 0 and placed_at is not null then 'without goods'", 1
)

COUNTERS = (
    "ordered", "cancelled", "sourced", "rejected", "ready", "lapsed", "shipped", "delivered", "collected",
    "returned", "unknown_quantities",
)  # fmt: skip

HEADER = (
    "order_id", "channel", "business_date", "location_id", "currency", "placed_at", "held", "payment_method",
    "language", "delivery_country", "delivery_postcode_area", "delivery_promise", "authorized_minor",
    "captured_minor", "refunded_minor", "unknown_amounts",
)  # fmt: skip


def _shown(column: str) -> str:
    """A part of the delivery that was told as none is unknown to readers."""
    return f"nullif({column}, '') as {column}" if column.startswith("delivery_") else column


class OrderStatus(Projection):
    """One row per order (`order_status`) and per line (`order_status_lines`): counters, money, status."""

    class Lines(Table):
        """Units of a line in each stage; a line carried out of the shop counts as collected."""

        order_id: Key[str]
        line_id: Key[str]
        sku: First[str]
        unit_price_minor: First[int]
        ordered_at: First[datetime]
        ordered: Sum[int]
        cancelled: Sum[int]
        sourced: Sum[int]
        rejected: Sum[int]
        ready: Sum[int]
        lapsed: Sum[int]
        shipped: Sum[int]
        delivered: Sum[int]
        collected: Sum[int]
        returned: Sum[int]
        unknown_quantities: Sum[int]
        status: Derived[str] = derived(LINE_STATUS)

    class Orders(Table):
        """What is told of the order as a whole; money in minor units."""

        order_id: Key[str]
        channel: First[str]
        business_date: First[date]
        location_id: First[str]
        currency: First[str]
        placed_at: First[datetime]
        held: Latest[bool]
        payment_method: Latest[str]
        language: Latest[str]
        delivery_country: Latest[str]
        delivery_postcode_area: Latest[str]
        delivery_promise: Latest[str]
        authorized_minor: Sum[int]
        captured_minor: Sum[int]
        refunded_minor: Sum[int]
        unknown_amounts: Sum[int]

    views: ClassVar[Mapping[str, str]] = {
        "order_status": f"""
            select {", ".join(map(_shown, HEADER + COUNTERS))},
                   case when held and stage in ('placed', 'sourced', 'incomplete') then 'held' else stage end as status
              from (select *, {ORDER_STATUS} as stage
                      from (select o.*, coalesce(l.lines, 0) as lines,
                                   {", ".join(f"coalesce(l.{c}, 0) as {c}" for c in COUNTERS)}
                              from {{orders}} as o
                              left join (select order_id, count(*) as lines, {", ".join(f"cast(sum({c}) as bigint) as {c}" for c in COUNTERS)}
                                           from {{lines}} group by order_id) as l
                                on o.order_id = l.order_id) as counted) as staged"""
    }

    @on(OrderPlaced)
    def placed(self, events: Frame) -> Deltas:
        """The order, its lines and its details."""
        header = events.select(
            "order_id",
            "currency",
            channel="order_channel",
            business_date="order_business_date",
            location_id="order_location_id",
            placed_at="occurred_at",
        )
        return {self.Orders: [header, _details(events)], self.Lines: _sold(events)}

    @on(OrderLineAdded)
    def added(self, events: Frame) -> Deltas:
        """More lines."""
        return {self.Lines: _sold(events), self.Orders: events.select("order_id")}

    @on(OrderDetailsChanged)
    def changed(self, events: Frame) -> Deltas:
        """What is told anew replaces what was told; what is not told stays."""
        return {self.Orders: _details(events)}

    @on(OrderHeld)
    def held(self, events: Frame) -> Deltas:
        """Nothing goes out for now."""
        return {self.Orders: events.select("order_id", held=pl.lit(True))}

    @on(OrderReleased)
    def released(self, events: Frame) -> Deltas:
        """Goes on."""
        return {self.Orders: events.select("order_id", held=pl.lit(False))}

    @on(OrderLineCancelled)
    def cancelled(self, events: Frame) -> Deltas:
        """Units taken off a line; a charge that is dropped is money."""
        return self._counted(events, "cancelled", kind="PRODUCT")

    @on(LineSourced)
    def sourced(self, events: Frame) -> Deltas:
        """Units promised by a place."""
        return self._counted(events, "sourced")

    @on(LineRejected)
    def rejected(self, events: Frame) -> Deltas:
        """Units a place cannot give after all."""
        return self._counted(events, "rejected")

    @on(PickupReady)
    def ready(self, events: Frame) -> Deltas:
        """Units that wait for the customer."""
        return self._counted(events, "ready")

    @on(PickupLapsed)
    def lapsed(self, events: Frame) -> Deltas:
        """Units that were not collected in time."""
        return self._counted(events, "lapsed")

    @on(PickupCollected)
    def collected(self, events: Frame) -> Deltas:
        """Units handed over."""
        return self._counted(events, "collected")

    @on(ParcelShipped)
    def shipped(self, events: Frame) -> Deltas:
        """Units on their way."""
        return self._counted(events, "shipped")

    @on(ParcelDelivered)
    def delivered(self, events: Frame) -> Deltas:
        """Units that arrived."""
        return self._counted(events, "delivered")

    @on(ReturnReceived)
    def returned(self, events: Frame) -> Deltas:
        """Units that came back, no charges; a return without an order concerns none."""
        known = events.filter(pl.col("order_id").is_not_null())
        return self._counted(known, "returned", kind="PRODUCT")

    @on(PaymentAuthorized)
    def authorized(self, events: Frame) -> Deltas:
        """Money promised."""
        return self._money(events, "authorized_minor", AMOUNT)

    @on(PaymentVoided)
    def voided(self, events: Frame) -> Deltas:
        """A promise of money taken back."""
        return self._money(events, "authorized_minor", -AMOUNT)

    @on(PaymentCaptured)
    def captured(self, events: Frame) -> Deltas:
        """Money taken."""
        return self._money(events, "captured_minor", AMOUNT)

    @on(RefundIssued)
    def refunded(self, events: Frame) -> Deltas:
        """Money given back."""
        return self._money(events, "refunded_minor", AMOUNT)

    @on(RefundReversed)
    def refund_reversed(self, events: Frame) -> Deltas:
        """A refund that did not take place after all."""
        return self._money(events, "refunded_minor", -AMOUNT)

    def _counted(self, events: Frame, counter: str, **only: str) -> Deltas:
        """Units of lines with these values into one counter; the order gets its row even if it was not seen yet."""
        lines = events.lines().filter(**only)
        unknown = UNITS.is_null().cast(pl.Int64)
        return {
            self.Lines: lines.select(*LINE, "sku", **{counter: UNITS}, unknown_quantities=unknown),
            self.Orders: events.select("order_id"),
        }

    def _money(self, events: Frame, column: str, amount: pl.Expr) -> Deltas:
        known = events.filter(pl.col("order_id").is_not_null())
        unknown = AMOUNT.is_null().cast(pl.Int64)
        return {self.Orders: known.select("order_id", **{column: amount}, unknown_amounts=unknown)}


def _sold(events: Frame) -> Frame:
    """Product lines; charges are money and have no stage."""
    return (
        events.lines()
        .filter(kind="PRODUCT")
        .select(
            *LINE,
            "sku",
            "unit_price_minor",
            ordered_at="occurred_at",
            ordered=UNITS,
            collected=pl.when(pl.col("fulfilment") == "CARRY_OUT").then(UNITS),
            unknown_quantities=UNITS.is_null().cast(pl.Int64),
        )
    )


def _details(events: Frame) -> Frame:
    return events.select(
        "order_id",
        "payment_method",
        "language",
        delivery_country=_delivery("country"),
        delivery_postcode_area=_delivery("postcode_area"),
        delivery_promise=_delivery("promise"),
    )


def _delivery(field: str) -> pl.Expr:
    """A part of the delivery; '' where the delivery is told without it, so that no older one's part stays."""
    delivery = pl.col("delivery")
    return pl.when(delivery.is_not_null()).then(delivery.struct.field(field).fill_null(""))
