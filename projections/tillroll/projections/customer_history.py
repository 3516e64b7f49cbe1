"""One timeline per customer over all channels, also for those known only by a receipt (domain.md 3)."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import ClassVar

import polars as pl

from tillroll.events import (
    ExchangeLinked,
    LineRejected,
    LineSourced,
    LineSubstituted,
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
    ReturnDispositioned,
    ReturnReceived,
    ReturnRequested,
)
from tillroll.projection import Deltas, Frame, Key, Min, Projection, Table, on

__all__ = ["CustomerHistory"]


class CustomerHistory(Projection):
    """What happened with every order and return, joined to the references its customer is known by.

    One row per event and reference; an order without any reference (a shopper who stayed unknown) has one
    row per event with the reference null. `order_id` is the return's id where a return has no order.
    """

    class Events(Table):
        """What happened.

        A row tells of one event, so it does not matter who tells first: `Min` keeps the values alone, where `First` would keep
        the place in time of each beside it, twice as much as they are.
        """

        event_id: Key[str]
        order_id: Min[str]
        kind: Min[str]
        occurred_at: Min[datetime]
        business_date: Min[date]
        channel: Min[str]
        amount_minor: Min[int]
        currency: Min[str]

    class References(Table):
        """By what a customer is known in an order; values of personal kinds are keyed hashes."""

        order_id: Key[str]
        kind: Key[str]
        value: Key[str]
        since: Min[datetime]

    views: ClassVar[Mapping[str, str]] = {
        "customer_history": """
            select r.kind as reference_kind, r.value as reference, e.occurred_at, e.kind, e.channel, e.order_id,
                   e.amount_minor, e.currency, e.business_date, e.event_id
              from {events} as e left join {references} as r on e.order_id = r.order_id"""
    }

    @on(
        OrderPlaced,
        OrderLineAdded,
        OrderLineCancelled,
        OrderHeld,
        OrderReleased,
        OrderDetailsChanged,
        LineSourced,
        LineRejected,
        LineSubstituted,
        ParcelShipped,
        ParcelDelivered,
        PickupReady,
        PickupCollected,
        PickupLapsed,
        PaymentAuthorized,
        PaymentCaptured,
        PaymentVoided,
        RefundIssued,
        RefundReversed,
        ReturnRequested,
        ReturnReceived,
        ReturnDispositioned,
        ExchangeLinked,
    )
    def happened(self, events: Frame) -> Deltas:
        """Everything goes on the timeline; events that name the customer tell the references."""
        known = events.with_columns(order_id=_subject(events), amount_minor=_amount(events))
        timeline = known.select(
            "event_id",
            "order_id",
            "occurred_at",
            "business_date",
            "channel",
            "amount_minor",
            "currency",
            kind=pl.lit(events.record),
        )
        if "customer" not in events.columns:
            return {self.Events: timeline}
        told = known.select("order_id", "customer", since="occurred_at").lines("customer")
        return {self.Events: timeline, self.References: told}


def _subject(events: Frame) -> pl.Expr:
    """The order, or what stands for it: a return without an order, a refund without either."""
    return pl.coalesce([name for name in ("order_id", "return_id", "refund_id") if name in events.columns])


def _amount(events: Frame) -> pl.Expr:
    """The event's own amount, else the sum of its lines' known ones; null where none is known."""
    if "amount_minor" in events.columns:
        return pl.col("amount_minor")
    if "amount_minor" not in events.fields("lines"):
        return pl.lit(None, pl.Int64)
    known = pl.col("lines").list.eval(pl.element().struct.field("amount_minor")).list.drop_nulls()
    return pl.when(known.list.len() > 0).then(known.list.sum())
