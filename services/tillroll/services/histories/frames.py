"""From the columns a query gives to exactly those of a record's newest schema."""

from functools import cache

import polars as pl

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract

__all__ = ["conform"]


def conform(record: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the columns, order and types of `record`; others are dropped.

    Columns and fields of lines that are absent become null (training: false), which the schema must allow.
    Times without a zone are taken as UTC.
    """
    schema = _schema(record)
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    utc = pl.col(pl.Datetime("us", None)).dt.replace_time_zone("UTC")
    whole = frame.with_columns(utc).with_columns(absent).select(schema.names())
    return whole.with_columns(pl.col("training").fill_null(value=False)).cast(schema)


@cache
def _schema(record: str) -> pl.Schema:
    return pl.Schema(frame_schema(load_contract().latest(record)))
