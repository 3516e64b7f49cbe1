"""The record layer: batches into one frame of keys and values.

The body of a batch without headers is, byte for byte, a block of Avro (Kafka's varints are Avro's longs,
its sized bytes Avro's bytes), so one native call reads thousands of records. What it cannot be trusted
with, headers, nulls, small reads, goes record by record; a property test holds the two equal.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from tillroll.errors import MalformedEvent
from tillroll.heap import keep_freed
from tillroll.log.blocks import AVAILABLE, read_block
from tillroll.log.encode import varint_width
from tillroll.log.port import Batch, Parts

__all__ = ["RECORD_FRAME", "read_records"]

RECORD_FRAME = pl.Schema(
    {
        "_batch": pl.UInt32(),
        "_offset": pl.Int64(),
        "_recorded_at": pl.Datetime("us", "UTC"),
        "key": pl.Binary(),
        "value": pl.Binary(),
    }
)

_PHYSICAL = {"_recorded_at": pl.Int64()}

# Below this the fixed cost of the native call and its checks (about 4 ms) loses against the loop.
FEWEST_FOR_BLOCKS = 2_000

NUMBER_BYTES = 8  # of each in Parts
SMALLEST_RECORD = 7  # bytes: length, attributes, two deltas, two sizes, header count
OFFSETS = 1 << 31  # a batch counts its offsets in 32 bits
YEAR_1, YEAR_9999 = (
    -62_135_596_800_000,
    253_402_300_799_999,
)  # milliseconds; beyond them a clock is merely wrong

_RECORD = """{"type": "record", "name": "r", "fields": [
 {"name": "length", "type": "long"}, {"name": "attributes", "type": {"type": "fixed", "name": "a", "size": 1}},
 {"name": "timestamp_delta", "type": "long"}, {"name": "offset_delta", "type": "long"},
 {"name": "key", "type": "bytes"}, {"name": "value", "type": "bytes"}, {"name": "headers", "type": "long"}]}"""


def read_records(batches: Sequence[Batch]) -> pl.DataFrame:
    """Every meant record of `batches` as a frame of RECORD_FRAME, in order.

    `_batch` is the index into `batches`. Null keys and values stay null.
    Raises MalformedEvent when a body is no sequence of records.
    """
    frames = list(_frames(batches, 0))
    return pl.concat(frames) if frames else RECORD_FRAME.to_frame()


def _frames(batches: Sequence[Batch], first: int) -> Iterator[pl.DataFrame]:
    """Blocks where they hold; what does not is halved until the odd batch stands alone."""
    count = sum(batch.count for batch in batches)
    if not any(batch.count or batch.body for batch in batches):
        return
    rows = _read_blocks(batches, count) if count >= FEWEST_FOR_BLOCKS and AVAILABLE else None
    if rows is not None:
        yield _meant(_placed(rows, batches, first), batches, first)
    elif len(batches) > 1 and count >= FEWEST_FOR_BLOCKS:
        half = len(batches) // 2
        yield from _frames(batches[:half], first)
        yield from _frames(batches[half:], first + half)
    else:
        yield _meant(_read_one_by_one(batches, first), batches, first)


def _meant(rows: pl.DataFrame, batches: Sequence[Batch], first: int) -> pl.DataFrame:
    """Only the offsets that each batch's start and stop allow."""
    for index, batch in enumerate(batches, first):
        if batch.start is not None and batch.start > batch.base_offset:
            rows = rows.filter((pl.col("_batch") != index) | (pl.col("_offset") >= batch.start))
        if batch.stop is not None:
            rows = rows.filter((pl.col("_batch") != index) | (pl.col("_offset") < batch.stop))
    return rows


# --- a run of batches as one Avro block -------------------------------------------------------------


def _read_blocks(batches: Sequence[Batch], count: int) -> pl.DataFrame | None:
    """All rows of the batches, or None when any of them is not a plain block."""
    if sum(len(batch.body) for batch in batches) < count * SMALLEST_RECORD:
        return None
    keep_freed()
    rows = read_block(_RECORD, (batch.body for batch in batches), count)
    return rows if rows is not None and _is_trustworthy(rows, batches, count) else None


def _is_trustworthy(rows: pl.DataFrame, batches: Sequence[Batch], count: int) -> bool:
    """Whether every row is what a plain record reads as, and each batch's rows fill its body."""
    if len(rows) != count:
        return False
    plain = rows.select(
        attributes=(pl.col("attributes") != b"\x00").any(),
        headers=(pl.col("headers") != 0).any(),
        length=(pl.col("length") != _length()).any(),
        offset=(~pl.col("offset_delta").is_between(0, OFFSETS, closed="left")).any(),
    ).row(0)
    if any(plain):
        return False
    sizes = rows.select(varint_width(pl.col("length")) + pl.col("length")).to_series().cum_sum()
    ends = pl.Series([batch.count for batch in batches]).cum_sum() - 1
    return (
        sizes.gather(ends).to_list() == pl.Series([len(batch.body) for batch in batches]).cum_sum().to_list()
    )


def _length() -> pl.Expr:
    """What `length` has to be: all that follows it, attributes and header count being one byte each."""
    key, value = pl.col("key").bin.size(), pl.col("value").bin.size()
    deltas = varint_width(pl.col("timestamp_delta")) + varint_width(pl.col("offset_delta"))
    sizes = varint_width(key.cast(pl.Int64)) + varint_width(value.cast(pl.Int64)) + key + value
    return (2 + deltas + sizes).cast(pl.Int64)


def _placed(rows: pl.DataFrame, batches: Sequence[Batch], first: int) -> pl.DataFrame:
    """Rows with their batch, absolute offset and time."""
    spread = _spread(_origins(batches, first), "count")
    delta = pl.col("timestamp_delta").clip(-YEAR_9999, YEAR_9999)
    time = (pl.col("time").clip(YEAR_1, YEAR_9999) + pl.col("by_delta") * delta).clip(YEAR_1, YEAR_9999)
    return pl.concat([rows, spread], how="horizontal").select(
        pl.col("_batch").cast(pl.UInt32),
        _offset=pl.col("base") + pl.col("offset_delta"),
        _recorded_at=(time * 1000).cast(RECORD_FRAME["_recorded_at"]),
        key="key",
        value="value",
    )


def _origins(batches: Sequence[Batch], first: int) -> pl.DataFrame:
    """What the batches consist of, themselves as a rule: a row each, and how many records it stands for."""
    parts = list(map(_parts, batches))
    of = {
        "_batch": range(first, first + len(batches)),
        "by_delta": [batch.append_time is None for batch in batches],
        "parts": [len(part.counts) // NUMBER_BYTES for part in parts],
    }
    return _spread(pl.DataFrame(of), "parts").with_columns(
        count=_numbers(part.counts for part in parts),
        base=_numbers(part.base_offsets for part in parts),
        time=_numbers(part.first_timestamps for part in parts),
    )


def _spread(rows: pl.DataFrame, by: str) -> pl.DataFrame:
    """Each row as often as its column `by` says, without that column."""
    return rows.select(pl.exclude(by).repeat_by(by).explode(empty_as_null=False))


def _numbers(sent: Iterable[bytes]) -> pl.Series:
    joined = b"".join(sent)
    numbers = pl.Array(pl.Int64, len(joined) // NUMBER_BYTES)
    return pl.Series([joined]).bin.reinterpret(dtype=numbers, endianness="big").explode()


def _parts(batch: Batch) -> Parts:
    parts = batch.parts or Parts.of(batch.base_offset, batch.count, batch.first_timestamp)
    if batch.append_time is None:
        return parts
    count = len(parts.counts) // NUMBER_BYTES
    return parts._replace(first_timestamps=Parts.of(0, 0, batch.append_time).first_timestamps * count)


# --- record by record -------------------------------------------------------------------------------


def _read_one_by_one(batches: Sequence[Batch], first: int) -> pl.DataFrame:
    """One frame of all, since a frame costs more than a hundred records: a till's batches hold one each."""
    rows = [
        (index, offset, time * 1000, key, value)
        for index, batch in enumerate(batches, first)
        for time, offset, key, value in _walk(batch)
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(RECORD_FRAME)
    return pl.DataFrame(
        [
            pl.Series(name, column, _PHYSICAL.get(name, dtype)).cast(dtype)
            for (name, dtype), column in zip(RECORD_FRAME.items(), columns, strict=True)
        ]
    )


def _walk(batch: Batch) -> Iterator[tuple[int, int, bytes | None, bytes | None]]:
    """(time in milliseconds, offset, key, value) of every record; headers are passed over."""
    body, at, dated = batch.body, 0, batch.append_time is None
    try:
        for base, count, first in zip(*map(_unpacked, _parts(batch)), strict=True):
            for _ in range(count):
                length, start = _number(body, at)
                time_delta, at = _number(body, start + 1)
                offset_delta, at = _number(body, at)
                key, at = _data(body, at)
                value, at = _data(body, at)
                at = _past_headers(body, at)
                if at != start + length or not 0 <= offset_delta < OFFSETS:
                    raise _malformed(batch)
                yield _in_calendar(_in_calendar(first) + time_delta * dated), base + offset_delta, key, value
    except (IndexError, ValueError):
        raise _malformed(batch) from None
    if at != len(body):
        raise _malformed(batch)


def _unpacked(numbers: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(numbers) // NUMBER_BYTES}q", numbers)


def _in_calendar(time: int) -> int:
    return min(max(time, YEAR_1), YEAR_9999)


def _number(body: bytes, at: int) -> tuple[int, int]:
    shift = result = 0
    while True:
        byte = body[at]
        at += 1
        result |= (byte & 127) << shift
        shift += 7
        if result >> 64 or shift > 70:
            raise ValueError
        if byte < 128:
            return (result >> 1) ^ -(result & 1), at


def _data(body: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = _number(body, at)
    if size < -1 or at + max(size, 0) > len(body):
        raise ValueError
    return (None, at) if size == -1 else (bytes(body[at : at + size]), at + size)


def _past_headers(body: bytes, at: int) -> int:
    count, at = _number(body, at)
    if count < 0:
        raise ValueError
    for _ in range(2 * count):
        _, at = _data(body, at)
    return at


def _malformed(batch: Batch) -> MalformedEvent:
    return MalformedEvent(
        f"{batch.topic}/{batch.partition} at offset {batch.base_offset}: the batch is not a sequence of "
        f"{batch.count} records; the log is damaged there, restore it from a replica or a backup"
    )
