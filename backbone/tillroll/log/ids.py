"""The event_id of values that are not decoded otherwise: the first field of every event."""

import polars as pl

from tillroll.contract.envelope import UUID_LENGTH, UUID_TEXT
from tillroll.contract.registry import CONFLUENT, SINGLE_OBJECT

__all__ = ["event_ids"]


def event_ids(value: pl.Expr) -> pl.Expr:
    """The event_id of wire-format values, in lower case; null where there is none.

    Read without decoding the rest: behind the prefix stands a text of 36 characters.
    """
    confluent, single = value.bin.starts_with(CONFLUENT), value.bin.starts_with(SINGLE_OBJECT)
    found = pl.when(single).then(_text_at(value, 10)).when(confluent).then(_text_at(value, 5))
    return pl.when(found.str.contains(UUID_TEXT)).then(found)


ASCII_HEX = "^(?:[0-7].)*$"


def _text_at(value: pl.Expr, start: int) -> pl.Expr:
    """36 bytes as text, null where they are none. Looked at as hex first: a cast of what is no UTF-8 raises, strict or not."""
    text = value.bin.slice(start + 1, 36)
    there = (value.bin.slice(start, 1) == UUID_LENGTH) & text.bin.encode("hex").str.contains(ASCII_HEX)
    return pl.when(there).then(text).cast(pl.String).str.to_lowercase()
