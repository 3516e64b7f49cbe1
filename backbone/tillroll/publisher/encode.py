"""Event frames into wire-format values: the way of log/decode.py back, one native call per frame."""

import polars as pl

from tillroll.contract.registry import EventSchema, TopicSpec
from tillroll.contract.wire import LARGEST_VALUE, encode, too_large
from tillroll.log.columns import AVAILABLE, to_values

__all__ = ["encode_frame", "key_text"]


def encode_frame(schema: EventSchema, events: pl.DataFrame) -> pl.Series:
    """The wire format (Binary) of each row of `events`, whose columns are the fields of `schema`.

    Raises MalformedEvent or a Polars / Arrow error when a column does not fit its field.
    """
    names = [field["name"] for field in schema.avro["fields"]]
    if not AVAILABLE:
        return pl.Series(
            [encode(schema, row) for row in events.select(names).iter_rows(named=True)], dtype=pl.Binary
        )
    bare = to_values(schema, events.select(names)).to_frame("value")
    values = bare.select(pl.lit(schema.prefix) + pl.col("value"))["literal"].rename("value")
    largest = values.to_frame().select(pl.col("value").bin.size().max()).item() or 0
    if largest > LARGEST_VALUE:
        raise too_large(schema.record, largest)
    return values


def key_text(spec: TopicSpec, columns: list[str]) -> pl.Expr:
    """The record key of an event on this topic, see topics.toml; `TopicSpec.key_of` for a whole column."""
    parts = [pl.coalesce(list(map(_field, _present(choice, columns)))) for choice in spec.key]
    return pl.concat_str(parts, separator=spec.separator)


def _present(choice: tuple[str, ...], columns: list[str]) -> list[str]:
    return [path for path in choice if path.partition(".")[0] in columns]


def _field(path: str) -> pl.Expr:
    name, *inner = path.split(".")
    field = pl.col(name)
    for step in inner:
        field = field.struct.field(step)
    return field
