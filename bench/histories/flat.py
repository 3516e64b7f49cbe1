"""Flat stock events of one type; over many keys, over few, over hot ones; and now and then a count."""

from collections.abc import Callable

import polars as pl

from bench.histories import Chunk, History, sums
from bench.histories.envelope import conform, placed, scattered

__all__ = ["FEW", "HOT", "MANY", "WIDE"]

MANY_KEYS, FEW_KEYS, HOT_KEYS = 61_500, 300, 10
COUNT_EVERY = 100  # of 100 events one is followed by a count


def _chunk(key: pl.Expr, counts: bool) -> Callable[[int, int], Chunk]:
    def chunk(start: int, count: int) -> Chunk:
        rows = placed(start, count, key)
        out = {"StockReceived": conform("StockReceived", rows)}
        if counts:
            out["StockCounted"] = conform("StockCounted", rows.gather_every(COUNT_EVERY), kind=1)
        return out

    return chunk


def _facts(record: str, events: pl.DataFrame) -> pl.DataFrame:
    columns = ("n", "sku", "location_id", "quantity", "occurred_at")
    return events.select(*columns, count=pl.lit(record == "StockCounted"))


def _levels(facts: pl.DataFrame) -> pl.DataFrame:
    """What is on hand: per key the newest count and the receipts after it.

    Two counts of a key at one instant do not occur in this history, so no tie has to be broken.
    """
    key = ["sku", "location_id"]
    newest = (
        facts.filter("count")
        .sort("occurred_at")
        .group_by(key)
        .agg(counted=pl.col("quantity").last(), counted_at=pl.col("occurred_at").last())
    )
    moves = facts.filter(~pl.col("count")).join(newest, on=key, how="left")
    after = pl.col("counted_at").is_null() | (pl.col("occurred_at") > pl.col("counted_at"))
    moved = moves.filter(after).group_by(key).agg(moved=pl.col("quantity").sum())
    rows = facts.select(key).unique().join(newest, on=key, how="left").join(moved, on=key, how="left")
    on_hand = pl.col("counted").fill_null(0) + pl.col("moved").fill_null(0)
    return rows.select(*key, on_hand=on_hand).sort(key)


def _history(name: str, title: str, key: pl.Expr, counts: bool) -> History:
    return History(
        name=name,
        title=title,
        topic="stock",
        shape="stock",
        chunk=_chunk(key, counts),
        facts=_facts,
        expected={
            "stock_levels": lambda facts: sums(facts.filter(~pl.col("count")), "quantity"),
            "store_availability": _levels,
        },
        records=("StockReceived", "StockCounted") if counts else ("StockReceived",),
    )


_hot = pl.when(pl.col("i") % 10 < 9).then((pl.col("i") // 7) % HOT_KEYS).otherwise(scattered(MANY_KEYS))

MANY = _history("flat", f"flat stock events, {MANY_KEYS:,} keys, 1 % counts", scattered(MANY_KEYS), True)
FEW = _history("few", f"flat stock events, {FEW_KEYS} keys", scattered(FEW_KEYS), False)
HOT = _history("hot", f"flat stock events, nine of ten on {HOT_KEYS} of {MANY_KEYS:,} keys", _hot, False)
WIDE = _history("wide", "flat stock events, a key each", pl.col("i"), False)
