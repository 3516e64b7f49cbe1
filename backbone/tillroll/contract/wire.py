"""One event in bytes: Confluent's wire format, and Avro's single-object encoding to read.

A value is a prefix that names the schema and the Avro encoding of one record
(https://avro.apache.org/docs/1.12.0/specification/#binary-encoding). For each schema a chain of small
functions is made once, which reads or writes a field each. Written here because fastavro lets pass what no
writer can have meant (negative indexes and lengths, a text cut short) and turns numbers into each other.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from tillroll.contract.avro_reader import Broken, reader
from tillroll.contract.avro_writer import Unfit, writer
from tillroll.contract.envelope import UUID_LENGTH, UUID_TEXT
from tillroll.contract.registry import CONFLUENT, SINGLE_OBJECT, Contract, EventSchema
from tillroll.errors import MalformedEvent

__all__ = ["LARGEST_VALUE", "TOMBSTONE", "decode", "encode", "schema_of", "too_large", "unknown_prefix"]

LARGEST_VALUE = 1_000_000
"""Bytes of an event on any log: what Kafka takes unless told otherwise (max.message.bytes), less the batch around it."""

TOMBSTONE = "the record has no value (a tombstone)"

CONFLUENT_SIZE = 5
SINGLE_OBJECT_SIZE = 10

_reader = cache(lambda schema: reader(schema.type))
_writer = cache(lambda schema: writer(schema.type))
_is_id = re.compile(UUID_TEXT, re.ASCII).fullmatch


def encode(schema: EventSchema, event: Mapping[str, Any]) -> bytes:
    """The wire format (Confluent's) of `event`; fields that are absent get their default.

    Nothing is converted: a long is an int in 64 bits, not a bool, not 2.0; a time is aware; an id is text.
    Raises MalformedEvent naming record and field, or that it is larger than LARGEST_VALUE.
    """
    out = bytearray(schema.prefix)
    try:
        _writer(schema)(out, event)
    except Unfit as unfit:
        raise MalformedEvent(f"{schema.record}{unfit}") from None
    if len(out) > LARGEST_VALUE:
        raise too_large(schema.record, len(out))
    return bytes(out)


def too_large(record: str, size: int) -> MalformedEvent:
    """The error for an event of `size` bytes, more than any log is given."""
    reason = f"is too large: {size:,} bytes of Avro, at most {LARGEST_VALUE:,}; keep documents elsewhere and refer to them"
    return MalformedEvent(f"{record}: the event {reason}", reason=f"the event {reason}")


def decode(value: bytes, contract: Contract) -> tuple[EventSchema, dict[str, Any]]:
    """The schema that `value` was written by, and its fields.

    Ids and enums are text, times aware in UTC, dates dates. Every byte is accounted for, and the event_id is a
    UUID. Raises MalformedEvent naming the record, the field and what is wrong with it.
    """
    schema = schema_of(value, contract)
    start = _prefix_size(value)
    try:
        event, end = _reader(schema)(value, start)
    except Broken as broken:
        raise MalformedEvent(f"{schema.name}{broken}") from None
    if end != len(value):
        raise MalformedEvent(f"{schema.name}: {len(value) - end} bytes are left over after the last field")
    if not _is_id(event["event_id"]) or value[start : start + 1] != UUID_LENGTH:
        raise MalformedEvent(f"{schema.name}.event_id: {event['event_id']!r} is no UUID of 36 characters")
    return schema, event


def schema_of(value: bytes | None, contract: Contract) -> EventSchema:
    """The schema that `value` was written by. Raises MalformedEvent where it names none of the contract."""
    if value is None:
        raise MalformedEvent(TOMBSTONE)
    prefix = value[: _prefix_size(value)]
    schema = contract.by_prefix(prefix)
    if schema is None:
        raise MalformedEvent(unknown_prefix(prefix))
    return schema


def _prefix_size(value: bytes) -> int:
    return SINGLE_OBJECT_SIZE if value.startswith(SINGLE_OBJECT) else CONFLUENT_SIZE


def unknown_prefix(prefix: bytes) -> str:
    """Why no schema of the contract begins with `prefix` (5 or 10 bytes, or all that there is)."""
    if len(prefix) == CONFLUENT_SIZE and prefix.startswith(CONFLUENT):
        return f"schema id {int.from_bytes(prefix[1:])} is not in the contract (see `tillroll schema list`)"
    if len(prefix) == SINGLE_OBJECT_SIZE and prefix.startswith(SINGLE_OBJECT):
        return f"no schema of the contract has the fingerprint {prefix[2:].hex()}"
    return f"not Avro in Confluent's wire format or single-object encoding (begins with {prefix.hex()!r})"
