"""The history that contenders fold: flat stock events, and now and then a count."""

from datetime import UTC, datetime

import polars as pl

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract

__all__ = ["CHUNK", "chunks", "expected"]

CHUNK = 100_000
SKUS, PLACES = 20_500, 3  # 61,500 keys
COUNT_EVERY = 100  # of 100 events one is a count, when counts are asked for


def chunks(events: int, counts: bool = False) -> list[tuple[str, pl.DataFrame]]:
    """(record, frame) of `events` StockReceived, and one StockCounted for every 100 of them if `counts`."""
    out = []
    for start in range(0, events, CHUNK):
        rows = _rows(start, min(CHUNK, events - start))
        out.append(("StockReceived", _events("StockReceived", rows)))
        if counts:
            out.append(("StockCounted", _events("StockCounted", rows.gather_every(COUNT_EVERY))))
    return out


def expected(rows: pl.DataFrame) -> pl.DataFrame:
    """What a model of sums and maxima has to hold after `rows` of events: computed in one go, by Polars."""
    folded = rows.group_by("sku", "location_id").agg(
        quantity=pl.col("quantity").sum(), last_moved_at=pl.col("occurred_at").max()
    )
    return folded.sort("sku", "location_id")


def _rows(start: int, count: int) -> pl.DataFrame:
    """Keys in a scattered but repeatable order (multiplication by a number prime to the keys)."""
    at = pl.int_range(start, start + count, eager=True).alias("n")
    key = (pl.col("n") * 7_919) % (SKUS * PLACES)
    return at.to_frame().with_columns(
        sku=pl.format("sku-{}", key // PLACES),
        location_id=pl.format("store-{}", key % PLACES),
        quantity=(pl.col("n") * 31) % 13 - 3,
        occurred_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)) + pl.duration(milliseconds=(pl.col("n") * 6_151) % 10_000_019),
    )


def _events(record: str, rows: pl.DataFrame) -> pl.DataFrame:
    wanted = frame_schema(load_contract().latest(record))
    kind = {"StockReceived": "1", "StockCounted": "2"}[record]
    # UUIDv7 layout: ids drawn one after the other, as a source draws them.
    number = pl.col("n").cast(pl.String).str.zfill(12)
    known = rows.with_columns(
        event_id=pl.format("0194f3c0-{}-7000-8{}00-{}", pl.col("n").cast(pl.String).str.zfill(12).str.head(4), pl.lit(kind), number),
        source=pl.lit("bench"),
        channel=pl.lit("warehouse"),
        training=pl.lit(False),
    )
    absent = [name for name in wanted if name not in known.columns]
    known = known.with_columns(pl.lit(None).alias(name) for name in absent)
    return known.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
