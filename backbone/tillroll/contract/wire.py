"""One event at a time: Confluent's wire format and Avro single-object encoding, strictly.

Confluent's (0x00, schema id, Avro) is what tillroll writes; single-object encoding (0xC3 0x01,
fingerprint, Avro) is read too. fastavro lets trailing bytes and negative enum and union indexes pass; here
they are refused.
"""

import io
import json
from typing import Any

import fastavro

from tillroll.contract.registry import Contract, EventSchema
from tillroll.errors import MalformedEvent

__all__ = ["decode", "encode"]

_CONFLUENT, _SINGLE = 5, 10


def encode(schema: EventSchema, event: dict[str, Any]) -> bytes:
    """The wire format of `event`. Raises MalformedEvent when a field is missing or of another type."""
    out = io.BytesIO()
    out.write(schema.prefix)
    try:
        fastavro.schemaless_writer(out, schema.parsed, event, strict=True)
    except Exception as error:
        raise MalformedEvent(f"{schema.record}: {error}") from None
    return out.getvalue()


def decode(value: bytes, contract: Contract) -> tuple[EventSchema, dict[str, Any]]:
    """The schema and the fields of wire-format bytes; times are aware (UTC), ids text.

    Raises MalformedEvent saying what is wrong with the bytes.
    """
    schema, start = _schema(value, contract)
    body = io.BytesIO(value)
    body.seek(start)
    try:
        event = fastavro.schemaless_reader(body, schema.parsed, None)
        end = body.tell()
        again = io.BytesIO()
        fastavro.schemaless_writer(again, schema.parsed, event)
    except Exception as error:
        raise MalformedEvent(f"{schema.record}: {type(error).__name__}: {error}") from None
    if end != len(value):
        raise MalformedEvent(f"{schema.record}: {len(value) - end} bytes are left over behind the last field")
    if again.getvalue() != value[start:]:
        # Another spelling than ours: arrays in sized blocks are fine, negative indexes are not.
        _Walk(schema, value).check(start)
    assert isinstance(event, dict)
    return schema, event


def _schema(value: bytes, contract: Contract) -> tuple[EventSchema, int]:
    for size in (_CONFLUENT, _SINGLE):
        schema = contract.by_prefix(value[:size])
        if schema is not None:
            return schema, size
    if value[:1] == b"\x00" and len(value) >= _CONFLUENT:
        raise MalformedEvent(f"schema id {int.from_bytes(value[1:5])} is not in the contract")
    raise MalformedEvent(
        f"not Avro in a format that tillroll reads: begins with {value[:_CONFLUENT].hex()!r}"
    )


class _Walk:
    """Follows a value by its schema and refuses what an Avro writer cannot have meant."""

    def __init__(self, schema: EventSchema, value: bytes):
        self._schema, self._value = schema, value
        self._names: dict[str, Any] = {}

    def check(self, start: int) -> None:
        """Raises MalformedEvent on an enum, union or boolean out of its range."""
        self._any(json.loads(self._schema.decoding), start)

    def _any(self, avro: Any, at: int) -> int:
        if isinstance(avro, list):
            index, at = self._long(at)
            self._require(0 <= index < len(avro), "a union index")
            return self._any(avro[index], at)
        kind = avro if isinstance(avro, str) else avro["type"]
        match kind:
            case "null":
                return at
            case "boolean":
                self._require(self._value[at] < 2, "a boolean")
                return at + 1
            case "int" | "long":
                return self._long(at)[1]
            case "float" | "double":
                return at + (4 if kind == "float" else 8)
            case "string":
                size, at = self._long(at)
                return at + size
            case "enum":
                index, at = self._long(at)
                self._require(0 <= index < len(avro["symbols"]), "an enum index")
                return at
            case "record":
                self._names[avro["name"]] = self._names[f"{avro.get('namespace', '')}.{avro['name']}"] = avro
                for field in avro["fields"]:
                    at = self._any(field["type"], at)
                return at
            case "array" | "map":
                return self._blocks(avro, at)
            case _:
                return self._any(kind if isinstance(kind, dict | list) else self._names[kind], at)

    def _blocks(self, avro: Any, at: int) -> int:
        count, at = self._long(at)
        while count:
            if count < 0:
                count, (_, at) = -count, self._long(at)
            for _ in range(count):
                if avro["type"] == "map":
                    at = self._any("string", at)
                at = self._any(avro.get("items") or avro["values"], at)
            count, at = self._long(at)
        return at

    def _long(self, at: int) -> tuple[int, int]:
        shift = result = 0
        while True:
            byte = self._value[at]
            at += 1
            result |= (byte & 127) << shift
            if byte < 128:
                return (result >> 1) ^ -(result & 1), at
            shift += 7

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise MalformedEvent(f"{self._schema.record}: {what} is out of range")
