"""What every generated event has: repeatable keys, times, ids."""

from datetime import UTC, datetime

import polars as pl

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract

__all__ = ["PLACES", "conform", "placed", "scattered"]

PLACES = 3
_START = datetime(2026, 1, 1, tzinfo=UTC)
_KINDS = "123456789abcdef"


def scattered(keys: int) -> pl.Expr:
    """Keys in a scattered but repeatable order: multiplication by a number prime to them."""
    return (pl.col("i") * 7_919) % keys


def placed(start: int, count: int, key: pl.Expr) -> pl.DataFrame:
    """`count` rows numbered `i` from `start` with sku and place by `key`, a small quantity and a time of its own."""
    rows = pl.int_range(start, start + count, eager=True).alias("i").to_frame()
    return rows.with_columns(
        sku=pl.format("sku-{}", key // PLACES),
        location_id=pl.format("store-{}", key % PLACES),
        quantity=(pl.col("i") * 31) % 13 - 3,
        occurred_at=pl.lit(_START) + pl.duration(milliseconds=(pl.col("i") * 6_151) % 10_000_019),
    )


def conform(record: str, rows: pl.DataFrame, kind: int = 0) -> pl.DataFrame:
    """`rows` as events of `record`: its columns in order, absent ones null, and `n` = 2 i + (kind > 0).

    Ids are laid out as UUIDv7, one after the other, as a source draws them; `kind` keeps those of two records apart.
    """
    wanted = frame_schema(load_contract().latest(record))
    number = pl.col("i").cast(pl.String).str.zfill(12)
    head = pl.lit(_KINDS[kind])
    known = rows.with_columns(
        event_id=pl.format("0194f3c0-{}-7000-8{}00-{}", number.str.head(4), head, number),
        source=pl.lit("bench"),
        channel=pl.lit("warehouse"),
        training=pl.lit(False),
    )
    absent = [name for name in wanted if name not in known.columns]
    known = known.with_columns(pl.lit(None).alias(name) for name in absent)
    number = (pl.col("i") * 2 + (1 if kind else 0)).alias("n")
    return known.select(number, *(pl.col(name).cast(dtype) for name, dtype in wanted.items()))
