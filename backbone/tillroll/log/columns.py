"""Columns of Avro values: many values of one schema from and to a frame. pyruhvro is used here alone.

Proven with pyruhvro 0.4. It decodes each value by itself, panics on types that the contract does without
(bytes, fixed, decimal, uuid), passes over bytes that are left at the end of a value and bits beyond 64, and does
not look whether a text is UTF-8.
"""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import EventSchema
from tillroll.errors import MalformedEvent

try:
    import pyruhvro
except ImportError:  # no wheel for this platform
    pyruhvro = None

__all__ = ["AVAILABLE", "from_values", "to_values"]

AVAILABLE = pyruhvro is not None
"""False where the library has no wheel: everything goes value by value then."""

MANY, THREADS = 10_000, 2  # values that are worth another thread, and how many encode them

FIRST_DAY, LAST_DAY = date.min, date.max
FIRST_TIME, LAST_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def from_values(schema: EventSchema, values: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """The frame of `values` (Avro without prefix), and per row whether encoding it gives the same bytes again.

    Where it does not, the value has bytes left over, or is written in a way that has to be looked at one by one.
    Raises MalformedEvent when any value cannot be decoded or lies outside the calendar; it does not say which.
    """
    try:
        batch = pyruhvro.deserialize_array(values.to_list(), schema.decoding)
        batch.validate(
            full=True
        )  # texts are taken for UTF-8 unseen; to touch one that is not ends the process
        again = _encoded(batch, schema)
    except BaseException as error:
        if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
            raise
        raise MalformedEvent(str(error)) from None
    frame = pl.DataFrame(pl.from_arrow(batch)).cast(frame_schema(schema))
    if not all(_in_calendar(column) for column in frame):
        raise MalformedEvent(f"{schema.record}: a time outside the years 1 to 9999")
    return frame, again == values


def _in_calendar(column: pl.Series) -> bool:
    """Whether every time and date in `column`, at any depth, lies in the years 1 to 9999, as Python's do."""
    dtype = column.dtype
    if isinstance(dtype, pl.List):
        return _in_calendar(column.explode()) if _holds_time(dtype) else True
    if isinstance(dtype, pl.Struct):
        return all(_in_calendar(column.struct.field(field.name)) for field in dtype.fields)
    if not dtype.is_temporal():
        return True
    low, high = (FIRST_DAY, LAST_DAY) if dtype == pl.Date else (FIRST_TIME, LAST_TIME)
    return bool(column.is_between(low, high).all())


def _holds_time(dtype: Any) -> bool:
    inner = [dtype.inner] if isinstance(dtype, pl.List) else [f.dtype for f in getattr(dtype, "fields", ())]
    return dtype.is_temporal() or any(map(_holds_time, inner))


def to_values(schema: EventSchema, events: pl.DataFrame) -> pl.Series:
    """Avro, without prefix, of each row of `events`, whose columns are the fields of `schema`.

    Raises a Polars or Arrow error when a column does not fit its field.
    """
    table = events.to_arrow().cast(pyruhvro.avro_to_arrow_schema(schema.decoding)).combine_chunks()
    return pl.concat([_encoded(batch, schema) for batch in table.to_batches()])


def _encoded(batch: pa.RecordBatch, schema: EventSchema) -> pl.Series:
    parts = pyruhvro.serialize_record_batch(batch, schema.decoding, 1 if len(batch) < MANY else THREADS)
    return pl.concat([pl.Series(pl.from_arrow(part.cast(pa.large_binary()))) for part in parts])
