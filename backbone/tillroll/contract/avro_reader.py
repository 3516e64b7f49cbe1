"""Avro bytes to values, strictly: a chain of functions per type, each from (bytes, place) to (value, place).

What ends early, points outside or cannot be meant raises Broken; nothing else is ever raised, and no length
read from the bytes is trusted with memory or time before it is compared with what is there.
"""

import struct
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from tillroll.contract.avro_types import (
    EPOCH,
    ArrayType,
    AvroType,
    EnumType,
    MapType,
    Nullable,
    Primitive,
    RecordType,
)

__all__ = ["Broken", "Read", "reader"]

Read = Callable[[bytes, int], tuple[Any, int]]

LONGEST_VARINT = 10  # bytes that 64 bits in groups of seven take
EPOCH_ORDINAL = EPOCH.toordinal()


class Broken(Exception):
    """What is wrong, behind the path of the field in which it is: ``.lines[1].quantity: ...``."""

    def __init__(self, reason: str, path: str = ""):
        super().__init__(f"{path}: {reason}")
        self.reason, self.path = reason, path

    def inside(self, step: str) -> "Broken":
        """The same, one level further out."""
        return Broken(self.reason, step + self.path)


def reader(type_: AvroType) -> Read:
    """The function that reads a value of this type."""
    match type_:
        case Primitive():
            return _PRIMITIVES[type_]
        case RecordType():
            return _record(type_)
        case Nullable():
            return _nullable(reader(type_.inner))
        case EnumType():
            return _enum(type_)
        case ArrayType():
            return _array(reader(type_.items))
        case MapType():
            return _map(reader(type_.values))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A signed integer of at most 64 bits, zig-zag."""
    rest = data[at]
    at += 1
    if rest > 127:
        rest, at = _long_varint(data, at, rest & 127)
    return (rest >> 1) ^ -(rest & 1), at


def _long_varint(data: bytes, at: int, rest: int) -> tuple[int, int]:
    for shift in range(7, 7 * LONGEST_VARINT, 7):
        byte = data[at]
        at += 1
        rest |= (byte & 127) << shift
        if byte < 128:
            if rest >> 64:
                break
            return rest, at
    raise Broken("a number of more than 64 bits")


def _int(data: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(data, at)
    if not -(1 << 31) <= number < 1 << 31:
        raise Broken(f"{number} is no int of 32 bits")
    return number, at


def _string(data: bytes, at: int) -> tuple[str, int]:
    size, at = _varint(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise Broken(f"a text of {size} bytes where {len(data) - at} are left")
    try:
        return data[at:end].decode(), end
    except UnicodeDecodeError:
        raise Broken("a text that is not UTF-8") from None


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise Broken(f"a boolean of {data[at]}")
    return data[at] == 1, at + 1


def _double(data: bytes, at: int) -> tuple[float, int]:
    if at + 8 > len(data):
        raise IndexError
    return struct.unpack_from("<d", data, at)[0], at + 8


def _date(data: bytes, at: int) -> tuple[date, int]:
    days, at = _int(data, at)
    try:
        return date.fromordinal(EPOCH_ORDINAL + days), at
    except (ValueError, OverflowError):
        raise Broken(f"a date {days} days from 1970, outside the years 1 to 9999") from None


def _timestamp(data: bytes, at: int) -> tuple[Any, int]:
    micros, at = _varint(data, at)
    try:
        return EPOCH + timedelta(microseconds=micros), at
    except OverflowError:
        raise Broken(f"a time {micros} microseconds from 1970, outside the years 1 to 9999") from None


_PRIMITIVES: dict[Primitive, Read] = {
    Primitive.STRING: _string,
    Primitive.UUID: _string,
    Primitive.INT: _int,
    Primitive.LONG: _varint,
    Primitive.BOOLEAN: _boolean,
    Primitive.DOUBLE: _double,
    Primitive.DATE: _date,
    Primitive.TIMESTAMP: _timestamp,
}


def _record(type_: RecordType) -> Read:
    fields = [(field.name, reader(field.type)) for field in type_.fields]

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        out = {}
        name = ""
        try:
            for name, field in fields:
                out[name], at = field(data, at)
        except IndexError:
            raise Broken("the value ends in the middle of it", f".{name}") from None
        except Broken as broken:
            raise broken.inside(f".{name}") from None
        return out, at

    return read


def _nullable(inner: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        branch = data[at]
        if branch == 0:
            return None, at + 1
        if branch == 2:  # zig-zag of 1
            return inner(data, at + 1)
        index, at = _varint(data, at)  # a longer spelling of the same, or none of the two
        if index == 0:
            return None, at
        if index == 1:
            return inner(data, at)
        raise Broken(f"union index {index}, which is neither null (0) nor the value (1)")

    return read


def _enum(type_: EnumType) -> Read:
    symbols = type_.symbols

    def read(data: bytes, at: int) -> tuple[str, int]:
        index, at = _varint(data, at)
        if not 0 <= index < len(symbols):
            raise Broken(f"enum index {index}, where {type_.name} has 0 to {len(symbols) - 1}")
        return symbols[index], at

    return read


def _block(data: bytes, at: int) -> tuple[int, int | None, int]:
    """How many items follow (0 = the end), where the block says that it ends, and where it begins."""
    count, at = _varint(data, at)
    end = None
    if count < 0:
        size, at = _varint(data, at)
        count, end = -count, at + size
    if count > len(data) - at:  # an item takes a byte at least
        raise Broken(f"{count} items where {len(data) - at} bytes are left")
    return count, end, at


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        out: list[Any] = []
        try:
            count, end, at = _block(data, at)
            while count:
                for _ in range(count):
                    value, at = item(data, at)
                    out.append(value)
                _check_end(at, end)
                count, end, at = _block(data, at)
        except Broken as broken:
            raise broken.inside(f"[{len(out)}]") from None
        return out, at

    return read


def _map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        out: dict[str, Any] = {}
        count, end, at = _block(data, at)
        while count:
            for _ in range(count):
                key, at = _string(data, at)
                if key in out:
                    raise Broken(f"key {key!r} twice")
                out[key], at = item(data, at)
            _check_end(at, end)
            count, end, at = _block(data, at)
        return out, at

    return read


def _check_end(at: int, end: int | None) -> None:
    if end is not None and at != end:
        raise Broken(f"a block that is {at - end:+} bytes off the size it gives")
