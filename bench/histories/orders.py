"""Nested orders: one to four lines each, 2.5 on average; every rate counts lines."""

from datetime import date

import polars as pl

from bench.histories import Chunk, History, sums
from bench.histories.envelope import conform, placed, scattered

__all__ = ["ORDERS"]

KEYS = 61_500
MOST_LINES = 4


def _chunk(start: int, count: int) -> Chunk:
    lines = placed(start * MOST_LINES, count * MOST_LINES, scattered(KEYS))
    order = pl.col("i") // MOST_LINES
    lines = lines.filter(pl.col("i") % MOST_LINES <= order % MOST_LINES).select(
        i=order,
        line_id=(pl.col("i") % MOST_LINES).cast(pl.String),
        sku="sku",
        kind=pl.lit("PRODUCT"),
        fulfilment=pl.lit("CARRY_OUT"),
        location_id="location_id",
        quantity=1 + pl.col("i") % 3,
        unit_price_minor=99 + pl.col("i") % 900,
        amount_minor=(1 + pl.col("i") % 3) * (99 + pl.col("i") % 900),
    )
    nested = lines.group_by("i", maintain_order=True).agg(lines=pl.struct(pl.exclude("i")))
    orders = placed(start, count, scattered(KEYS)).select("i", "occurred_at")
    day = pl.lit(date(2026, 1, 1))
    placed_orders = orders.join(nested, on="i", how="left", maintain_order="left").with_columns(
        order_id=pl.format("order-{}", "i"),
        order_channel=pl.lit("warehouse"),
        order_business_date=day,
        business_date=day,
        order_location_id=pl.lit("store-1"),
        currency=pl.lit("EUR"),
        customer=pl.lit([], dtype=pl.List(pl.Struct({"kind": pl.String(), "value": pl.String()}))),
    )
    return {"OrderPlaced": conform("OrderPlaced", placed_orders)}


def _facts(record: str, events: pl.DataFrame) -> pl.DataFrame:
    lines = events.select("n", "occurred_at", "lines").explode("lines").unnest("lines")
    return lines.select(
        "n", "sku", "location_id", "occurred_at", units="quantity", amount_minor="amount_minor"
    )


ORDERS = History(
    name="orders",
    title="nested orders, 2.5 lines each, lines a second",
    topic="orders",
    shape="orders",
    chunk=_chunk,
    facts=_facts,
    expected={"order_units": lambda facts: sums(facts, "units", "amount_minor")},
    records=("OrderPlaced",),
    unit="lines",
)
