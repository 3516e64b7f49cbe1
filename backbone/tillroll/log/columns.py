"""Columns of Avro values: many values of one schema from and to a frame. pyruhvro is used here alone.

Proven with pyruhvro 0.4. It decodes each value by itself, panics on types that the contract does without
(bytes, fixed, decimal, uuid), and passes over bytes that are left at the end of a value.
"""

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


def from_values(schema: EventSchema, values: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """The frame of `values` (Avro without prefix), and per row whether encoding it gives the same bytes again.

    Where it does not, the value has bytes left over, or is written in a way that has to be looked at one by one.
    Raises MalformedEvent when any value cannot be decoded; the call does not say which.
    """
    try:
        batch = pyruhvro.deserialize_array(values.to_list(), schema.decoding)
        again = _encoded(batch, schema)
    except BaseException as error:
        if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
            raise
        raise MalformedEvent(str(error)) from None
    return pl.DataFrame(pl.from_arrow(batch)).cast(frame_schema(schema)), again == values


def to_values(schema: EventSchema, events: pl.DataFrame) -> pl.Series:
    """Avro, without prefix, of each row of `events`, whose columns are the fields of `schema`.

    Raises a Polars or Arrow error when a column does not fit its field.
    """
    table = events.to_arrow().cast(pyruhvro.avro_to_arrow_schema(schema.decoding)).combine_chunks()
    return pl.concat([_encoded(batch, schema) for batch in table.to_batches()])


def _encoded(batch: pa.RecordBatch, schema: EventSchema) -> pl.Series:
    parts = pyruhvro.serialize_record_batch(batch, schema.decoding, 1)
    return pl.concat([pl.Series(pl.from_arrow(part.cast(pa.large_binary()))) for part in parts])
