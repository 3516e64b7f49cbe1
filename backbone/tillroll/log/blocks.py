"""Blocks of Avro: rows of flat fields from and to bytes, thousands at a time. polars-avro is used here alone.

Proven with polars-avro 0.13. That version never ends when bytes remain after a block's last row, hence: one
block, a batch size equal to the row count, exactly one ``next()``. Callers check what they get.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa

try:
    from polars_avro._avro_rs import AvroBuffSink, AvroError, AvroSource
except ImportError:  # no wheel for this platform
    AVAILABLE = False
else:
    AVAILABLE = True

__all__ = ["AVAILABLE", "read_block", "write_block"]
# AVAILABLE is false where the library has no wheel: everything goes record by record then.

_SYNC = b"\xff" * 16


def read_block(schema: str, parts: Iterable[bytes], count: int) -> pl.DataFrame | None:
    """The `count` rows that the joined `parts` hold as fields of `schema` (JSON of a record), one after the other.

    None when they cannot be read so. A frame that does come back may still be wrong where the bytes are.
    """
    data = list(parts)
    size = sum(map(len, data))
    container = b"".join((_header(schema), _long(count), _long(size), *data, _SYNC))

    @contextmanager
    def opened() -> Iterator[BytesIO]:
        yield BytesIO(container)

    try:
        source: Any = AvroSource([opened], False, False)
        return pl.DataFrame(next(source.batch_iter(count, None)))
    except (
        AvroError,
        ValueError,
        OverflowError,
        SystemError,
    ):  # the last: an error lost on its way to Python
        return None


def write_block(rows: pl.DataFrame, size: int) -> bytes:
    """The fields of all rows, one after the other, `size` bytes in all; no column may hold a null.

    The library writes bare fields, without a union index, only from columns that cannot be null. Its
    container ends in the block's data and the sync marker.
    """
    table = rows.to_arrow()
    bare = table.cast(pa.schema([pa.field(field.name, field.type, nullable=False) for field in table.schema]))
    out = BytesIO()
    sink: Any = AvroBuffSink(out, bare, None)
    sink.write(bare)
    sink.close()
    return out.getvalue()[-len(_SYNC) - size : -len(_SYNC)]


def _header(schema: str) -> bytes:
    """The head of a container file: magic, two entries of metadata, the sync marker."""
    entries = (b"avro.schema", schema.encode(), b"avro.codec", b"null")
    return b"".join((b"Obj\x01", _long(2), *(_long(len(e)) + e for e in entries), b"\x00", _SYNC))


def _long(number: int) -> bytes:
    """Avro's long of a number that is not negative."""
    rest, out = number << 1, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])
