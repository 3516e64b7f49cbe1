"""Records into Kafka's record layout, version 2: the body that every log stores and hands out.

A record is `length varint, attributes int8, timestamp delta varint, offset delta varint, key length
varint, key, value length varint, value, header count varint`; varints are zig-zag
(https://kafka.apache.org/documentation/#record).
"""

from collections.abc import Iterable, Sequence

import polars as pl

from tillroll.log import blocks

__all__ = ["encode_fresh", "encode_records", "encode_rows", "encode_values", "varint", "varint_width"]

_ONE_BYTE = [bytes([n]) for n in range(128)]
FEWEST_FOR_BLOCKS = 400  # below it the native call costs more than the loop
NO_BYTES = b"\x01"  # zig-zag of -1: a null key or value


def varint(number: int) -> bytes:
    """Zig-zag variable-length encoding of a signed 64-bit `number`, 1 to 10 bytes."""
    rest = (number << 1) ^ (number >> 63)
    if rest < 128:
        return _ONE_BYTE[rest]
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def encode_records(
    records: Iterable[tuple[int, int, bytes | None, bytes | None]],
) -> bytes:
    """The body of a batch from (timestamp delta in ms, offset delta, key, value); no headers."""
    return b"".join(map(_record, records))


def encode_rows(rows: pl.DataFrame) -> bytes:
    """The same from a frame of timestamp_delta, offset_delta (Int64), key, value (Binary)."""
    plain = len(rows) >= FEWEST_FOR_BLOCKS and not rows["key"].null_count() and not rows["value"].null_count()
    if not plain or not blocks.AVAILABLE:
        return encode_records(rows.select("timestamp_delta", "offset_delta", "key", "value").iter_rows())
    fields = rows.select(_FIELDS)
    return blocks.write_block(fields, fields.select(_SIZE).item())


def encode_values(keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """The body of a fresh batch: offsets 0, 1, 2, ..., every timestamp that of the batch."""
    if len(keys) < FEWEST_FOR_BLOCKS:
        return encode_records(
            (0, n, key, value) for n, (key, value) in enumerate(zip(keys, values, strict=True))
        )
    return encode_fresh(
        pl.DataFrame({"key": keys, "value": values}, schema={"key": pl.Binary(), "value": pl.Binary()})
    )


def encode_fresh(rows: pl.DataFrame) -> bytes:
    """The same from a frame of key, value (Binary)."""
    return encode_rows(rows.with_columns(_FRESH))


def varint_width(number: pl.Expr) -> pl.Expr:
    """How many bytes `varint` takes for each number: 7 bits of the zig-zag form in each."""
    zigzag = pl.when(number < 0).then(-(number + 1) * 2 + 1).otherwise(number * 2)
    return (70 - zigzag.bitwise_leading_zeros().cast(pl.Int64)).clip(7) // 7


def _fields() -> list[pl.Expr]:
    """A record as fields of Avro: what is one byte in Kafka's layout is a small number in Avro's."""
    key, value = (pl.col(name).bin.size().cast(pl.Int64) for name in ("key", "value"))
    deltas = varint_width(pl.col("timestamp_delta")) + varint_width(pl.col("offset_delta"))
    length = 2 + deltas + varint_width(key) + key + varint_width(value) + value  # 2: attributes, header count
    one_byte = pl.lit(0, pl.Int64)
    return [
        length.alias("length"),
        one_byte.alias("attributes"),
        pl.col("timestamp_delta", "offset_delta", "key", "value"),
        one_byte.alias("headers"),
    ]


# Made once: putting these together takes as long as evaluating them for some thousand records.
_FIELDS = _fields()
_SIZE = (pl.col("length") + varint_width(pl.col("length"))).sum()
_FRESH = [
    pl.lit(0, pl.Int64).alias("timestamp_delta"),
    pl.int_range(pl.len(), dtype=pl.Int64).alias("offset_delta"),
]


def _record(record: tuple[int, int, bytes | None, bytes | None]) -> bytes:
    time_delta, offset_delta, key, value = record
    inner = b"".join((b"\x00", varint(time_delta), varint(offset_delta), _sized(key), _sized(value), b"\x00"))
    return varint(len(inner)) + inner


def _sized(data: bytes | None) -> bytes:
    return NO_BYTES if data is None else varint(len(data)) + data
