"""Eight event types of one topic, interleaved event by event."""

import polars as pl

from bench.histories import Chunk, History, sums
from bench.histories.envelope import conform, placed, scattered

__all__ = ["MIXED", "MOVED"]

KEYS = 61_500

MOVED = {
    "StockReceived": "quantity",
    "StockAdjusted": "quantity",
    "TransferShipped": "-quantity",
    "TransferReceived": "received",
    "StockCounted": "0",
    "ReservationMade": "0",
    "ReservationReleased": "0",
    "SafetyStockSet": "0",
}
"""What an event of each record moves, as SQL over its columns."""


def _chunk(start: int, count: int) -> Chunk:
    rows = placed(start, count, scattered(KEYS)).with_columns(
        transfer_id=pl.format("transfer-{}", "i"),
        reservation_id=pl.format("reservation-{}", "i"),
        origin_id=pl.lit("store-0"),
        destination_id=pl.lit("store-1"),
        received="quantity",
        missing=pl.lit(0),
    )
    return {
        record: conform(record, rows.filter(pl.col("i") % len(MOVED) == at))
        for at, record in enumerate(MOVED)
    }


def _facts(record: str, events: pl.DataFrame) -> pl.DataFrame:
    moved = pl.sql_expr(MOVED[record]).cast(pl.Int64)
    return events.select("n", "sku", "location_id", "occurred_at", moved=moved, events=pl.lit(1, pl.Int64))


MIXED = History(
    name="mixed",
    title="eight event types of one topic, interleaved",
    topic="stock",
    shape="mixed",
    chunk=_chunk,
    facts=_facts,
    expected={"stock_movements": lambda facts: sums(facts, "moved", "events")},
    records=tuple(MOVED),
)
