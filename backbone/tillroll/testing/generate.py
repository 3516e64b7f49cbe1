"""Random events from the contract's schemas: the same seed gives the same events.

`Generator` gives any value that a field may hold, the rare ones (extremes, empty, unusual text) often; a
subclass narrows that down field by field (see testing/order_free.py). `mutated` damages encoded bytes.
"""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tillroll.contract.avro_types import (
    ArrayType,
    AvroType,
    EnumType,
    MapType,
    Nullable,
    Primitive,
    RecordType,
)
from tillroll.contract.registry import EventSchema

__all__ = ["Generator", "mutated"]

LONGS = (0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**31, -(2**31) - 1, 2**62, 2**63 - 1, -(2**63))
INTS = (0, 1, -1, 64, -65, 2**31 - 1, -(2**31))
DOUBLES = (0.0, -0.0, 1.5, -1e300, 5e-324, 52.520008)
TEXTS = ("", "a", "SKU-1", "größe 🥿", "x" * 70, 'quote " and \\', "line\nbreak\ttab", "null", "\u0301")
FIRST_DAY, LAST_DAY = date(1, 1, 1), date(9999, 12, 31)
FIRST_TIME = datetime(1, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class Generator:
    """Draws events; `random` is where all chance comes from."""

    def __init__(self, seed: int | str):
        self.random = random.Random(seed)

    def event(self, schema: EventSchema) -> dict[str, Any]:
        """The fields of one event of this record version; event_id is always a uuid of its own."""
        return {**self.record(schema.type), "event_id": self.uuid()}

    def record(self, type_: RecordType) -> dict[str, Any]:
        """A record of this type."""
        return {field.name: self.field(field.name, field.type) for field in type_.fields}

    def field(self, name: str, type_: AvroType) -> Any:
        """The value of a field. For subclasses to narrow down by name."""
        return self.value(type_)

    def value(self, type_: AvroType) -> Any:
        """Any value of this type."""
        match type_:
            case Primitive():
                return self.primitive(type_)
            case EnumType():
                return self.random.choice(type_.symbols)
            case Nullable():
                return None if self.random.random() < 0.3 else self.value(type_.inner)
            case ArrayType():
                return [self.value(type_.items) for _ in range(self.random.choice((0, 1, 1, 2, 5)))]
            case MapType():
                return {f"{n}": self.value(type_.values) for n in range(self.random.choice((0, 1, 3)))}
            case RecordType():
                return self.record(type_)

    def primitive(self, type_: Primitive) -> Any:
        """Any value of this primitive or logical type."""
        match type_:
            case Primitive.STRING:
                return self.random.choice(TEXTS)
            case Primitive.UUID:
                return self.uuid()
            case Primitive.INT:
                return self.random.choice(INTS)
            case Primitive.LONG:
                return self.random.choice((*LONGS, self.random.randint(-1000, 1000)))
            case Primitive.BOOLEAN:
                return self.random.random() < 0.5
            case Primitive.DOUBLE:
                return self.random.choice(DOUBLES)
            case Primitive.DATE:
                return self._date()
            case Primitive.TIMESTAMP:
                return self._time()

    def uuid(self) -> str:
        """A random uuid."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _date(self) -> date:
        usual = date(2026, 1, 1) + timedelta(days=self.random.randrange(400))
        return self.random.choice((usual, usual, FIRST_DAY, LAST_DAY, date(1969, 12, 31)))

    def _time(self) -> datetime:
        usual = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.random.randrange(10**13))
        return self.random.choice((usual, usual, usual, FIRST_TIME, LAST_TIME))


def mutated(value: bytes, random: random.Random) -> bytes:
    """`value` damaged in one of many ways: cut, lengthened, bytes changed, moved, doubled or left out."""
    at, other = random.randrange(len(value) + 1), random.randrange(len(value) + 1)
    low, high = min(at, other), max(at, other)
    some = random.choice((b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80", b"\xff", random.randbytes(3)))
    return random.choice(
        (
            value[:at],
            value + some,
            value[:at] + some + value[at:],
            value[:at] + some + value[at + len(some) :],
            value[:low] + value[high:],
            value[:high] + value[low:],
            _flipped(value, random),
            value[:at] + b"\xff" * 9 + b"\x01" + value[at + 1 :],
        )
    )


def _flipped(value: bytes, random: random.Random) -> bytes:
    out = bytearray(value)
    if out:
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)
