"""Values to Avro bytes, strictly: a chain of functions per type, each appending to a bytearray.

A value of any other type than the one that decoding gives raises Unfit; nothing is converted.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from tillroll.contract.avro_types import (
    EPOCH,
    NO_DEFAULT,
    ArrayType,
    AvroType,
    EnumType,
    MapType,
    Nullable,
    Primitive,
    RecordType,
    value_of,
)

__all__ = ["Unfit", "Write", "writer"]

Write = Callable[[bytearray, Any], None]

MICROSECOND = timedelta(microseconds=1)
EPOCH_ORDINAL = EPOCH.toordinal()


class Unfit(Exception):
    """Why a value does not fit, behind the path of its field: ``.lines[1].quantity: ...``."""

    def __init__(self, reason: str, path: str = ""):
        super().__init__(f"{path}: {reason}")
        self.reason, self.path = reason, path

    def inside(self, step: str) -> "Unfit":
        """The same, one level further out."""
        return Unfit(self.reason, step + self.path)


def writer(type_: AvroType) -> Write:
    """The function that writes a value of this type."""
    match type_:
        case Primitive():
            return _PRIMITIVES[type_]
        case RecordType():
            return _record(type_)
        case Nullable():
            return _nullable(writer(type_.inner))
        case EnumType():
            return _enum(type_)
        case ArrayType():
            return _array(writer(type_.items))
        case MapType():
            return _map(writer(type_.values))


def _varint(out: bytearray, number: int) -> None:
    rest = (number << 1) ^ (number >> 63)
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def _integer(bits: int) -> Write:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def write(out: bytearray, value: Any) -> None:
        if type(value) is not int:
            raise Unfit(f"{_told(value)} is no whole number")
        if not low <= value <= high:
            raise Unfit(f"{value} does not fit into {bits} bits")
        _varint(out, value)

    return write


def _string(out: bytearray, value: Any) -> None:
    if not isinstance(value, str):
        raise Unfit(f"{_told(value)} is no text")
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise Unfit("a text with half a surrogate pair cannot be UTF-8") from None
    _varint(out, len(data))
    out += data


def _boolean(out: bytearray, value: Any) -> None:
    if type(value) is not bool:
        raise Unfit(f"{_told(value)} is neither true nor false")
    out.append(value)


def _double(out: bytearray, value: Any) -> None:
    if type(value) is not float:
        raise Unfit(f"{_told(value)} is no floating-point number")
    out += struct.pack("<d", value)


def _date(out: bytearray, value: Any) -> None:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unfit(f"{_told(value)} is no date")
    _varint(out, value.toordinal() - EPOCH_ORDINAL)


def _timestamp(out: bytearray, value: Any) -> None:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise Unfit(f"{_told(value)} is no time with a time zone")
    _varint(out, (value - EPOCH) // MICROSECOND)


_PRIMITIVES: dict[Primitive, Write] = {
    Primitive.STRING: _string,
    Primitive.UUID: _string,
    Primitive.INT: _integer(32),
    Primitive.LONG: _integer(64),
    Primitive.BOOLEAN: _boolean,
    Primitive.DOUBLE: _double,
    Primitive.DATE: _date,
    Primitive.TIMESTAMP: _timestamp,
}


def _record(type_: RecordType) -> Write:
    fields = [(field.name, writer(field.type), _default(field.type, field.default)) for field in type_.fields]
    names = frozenset(field.name for field in type_.fields)

    def write(out: bytearray, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise Unfit(f"{_told(value)} is no {type_.name}")
        if not names.issuperset(value):
            raise Unfit(f"{type_.name} has no field {', '.join(sorted(map(repr, set(value) - names)))}")
        for name, field, default in fields:
            given = value.get(name, default)
            if given is NO_DEFAULT:
                raise Unfit("is missing", f".{name}")
            try:
                field(out, given)
            except Unfit as unfit:
                raise unfit.inside(f".{name}") from None

    return write


def _default(type_: AvroType, default: Any) -> Any:
    return default if default is NO_DEFAULT else value_of(type_, default)


def _nullable(inner: Write) -> Write:
    def write(out: bytearray, value: Any) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(2)  # zig-zag of 1
            inner(out, value)

    return write


def _enum(type_: EnumType) -> Write:
    indexes = {symbol: index for index, symbol in enumerate(type_.symbols)}

    def write(out: bytearray, value: Any) -> None:
        if not isinstance(value, str) or value not in indexes:
            raise Unfit(f"{_told(value)} is none of {', '.join(indexes)}")
        _varint(out, indexes[value])

    return write


def _array(item: Write) -> Write:
    def write(out: bytearray, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise Unfit(f"{_told(value)} is no list")
        if value:
            _varint(out, len(value))
            for at, one in enumerate(value):
                try:
                    item(out, one)
                except Unfit as unfit:
                    raise unfit.inside(f"[{at}]") from None
        out.append(0)

    return write


def _map(item: Write) -> Write:
    def write(out: bytearray, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise Unfit(f"{_told(value)} is no map")
        if value:
            _varint(out, len(value))
            for key, one in value.items():
                _string(out, key)
                item(out, one)
        out.append(0)

    return write
