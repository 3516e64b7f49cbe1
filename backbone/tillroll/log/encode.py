"""Records into Kafka's record layout, version 2: the body that every log stores and hands out.

A record is `length varint, attributes int8, timestamp delta varint, offset delta varint, key length
varint, key, value length varint, value, header count varint`; varints are zig-zag
(https://kafka.apache.org/documentation/#record).
"""

from collections.abc import Iterable, Sequence

__all__ = ["encode_records", "varint"]

_ONE_BYTE = [bytes([n]) for n in range(128)]
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


def encode_values(keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """The body of a fresh batch: offsets 0, 1, 2, ..., every timestamp that of the batch."""
    return encode_records((0, n, key, value) for n, (key, value) in enumerate(zip(keys, values, strict=True)))


def _record(record: tuple[int, int, bytes | None, bytes | None]) -> bytes:
    time_delta, offset_delta, key, value = record
    inner = b"".join((b"\x00", varint(time_delta), varint(offset_delta), _sized(key), _sized(value), b"\x00"))
    return varint(len(inner)) + inner


def _sized(data: bytes | None) -> bytes:
    return NO_BYTES if data is None else varint(len(data)) + data
