"""The history that contenders fold: flat stock events, and now and then a count."""

from datetime import UTC, datetime

import polars as pl

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract
from tillroll.publisher import partition_of

__all__ = ["CHUNK", "chunks", "levels", "located", "slim", "sums"]

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


def slim(record: str, events: pl.DataFrame) -> pl.DataFrame:
    """What the checks need of a frame, in the order in which it is published."""
    return events.select(
        "sku", "location_id", "quantity", "occurred_at", count=pl.lit(record == "StockCounted")
    )


def located(events: pl.DataFrame, partitions: int) -> pl.DataFrame:
    """`events` with the partition and offset that publishing them in this order gives them."""
    keys = events.select(pl.concat_str("sku", "location_id", separator="|"))["sku"]
    routing = {key: partition_of(key.encode(), partitions) for key in keys.unique()}
    placed = events.with_columns(partition=keys.replace_strict(routing, return_dtype=pl.Int64))
    return placed.with_columns(offset=pl.int_range(pl.len()).over("partition"))


def sums(events: pl.DataFrame) -> pl.DataFrame:
    """What a model of sums and maxima of receipts holds after `events`."""
    folded = (
        events.filter(~pl.col("count"))
        .group_by("sku", "location_id")
        .agg(quantity=pl.col("quantity").sum(), last_moved_at=pl.col("occurred_at").max())
    )
    return folded.sort("sku", "location_id")


def levels(events: pl.DataFrame) -> pl.DataFrame:
    """What is on hand after `events`: per key the newest count and the receipts after it.

    Two counts of a key at one instant do not occur in this history, so no tie has to be broken.
    """
    key = ["sku", "location_id"]
    newest = (
        events.filter("count")
        .sort("occurred_at")
        .group_by(key)
        .agg(counted=pl.col("quantity").last(), counted_at=pl.col("occurred_at").last())
    )
    moves = events.filter(~pl.col("count")).join(newest, on=key, how="left")
    after = pl.col("counted_at").is_null() | (pl.col("occurred_at") > pl.col("counted_at"))
    moved = moves.filter(after).group_by(key).agg(moved=pl.col("quantity").sum())
    rows = events.select(key).unique().join(newest, on=key, how="left").join(moved, on=key, how="left")
    on_hand = pl.col("counted").fill_null(0) + pl.col("moved").fill_null(0)
    return rows.select(*key, on_hand=on_hand).sort(key)


def _rows(start: int, count: int) -> pl.DataFrame:
    """Keys in a scattered but repeatable order (multiplication by a number prime to the keys)."""
    at = pl.int_range(start, start + count, eager=True).alias("n")
    key = (pl.col("n") * 7_919) % (SKUS * PLACES)
    return at.to_frame().with_columns(
        sku=pl.format("sku-{}", key // PLACES),
        location_id=pl.format("store-{}", key % PLACES),
        quantity=(pl.col("n") * 31) % 13 - 3,
        occurred_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC))
        + pl.duration(milliseconds=(pl.col("n") * 6_151) % 10_000_019),
    )


def _events(record: str, rows: pl.DataFrame) -> pl.DataFrame:
    wanted = frame_schema(load_contract().latest(record))
    kind = {"StockReceived": "1", "StockCounted": "2"}[record]
    # UUIDv7 layout: ids drawn one after the other, as a source draws them.
    number = pl.col("n").cast(pl.String).str.zfill(12)
    known = rows.with_columns(
        event_id=pl.format(
            "0194f3c0-{}-7000-8{}00-{}",
            pl.col("n").cast(pl.String).str.zfill(12).str.head(4),
            pl.lit(kind),
            number,
        ),
        source=pl.lit("bench"),
        channel=pl.lit("warehouse"),
        training=pl.lit(False),
    )
    absent = [name for name in wanted if name not in known.columns]
    known = known.with_columns(pl.lit(None).alias(name) for name in absent)
    return known.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
