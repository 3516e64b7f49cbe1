"""One event in bytes: what is written is what fastavro writes, and nothing that cannot be meant is read."""

import io
import json
import string
import time
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any

import fastavro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tillroll.contract.avro_types import (
    ArrayType,
    AvroType,
    EnumType,
    MapType,
    Nullable,
    Primitive,
    RecordType,
)
from tillroll.contract.registry import Contract, EventSchema, load_contract
from tillroll.contract.wire import decode, encode
from tillroll.errors import MalformedEvent

CONTRACT = load_contract()
SCHEMAS = [CONTRACT.latest(name) for name in CONTRACT.records]
COUNTED = CONTRACT.latest("StockCounted")
CANCELLED = CONTRACT.latest("OrderLineCancelled")

PRIMITIVES: dict[Primitive, st.SearchStrategy[Any]] = {
    Primitive.STRING: st.text(),
    Primitive.UUID: st.uuids().map(str),
    Primitive.INT: st.integers(-(2**31), 2**31 - 1),
    Primitive.LONG: st.integers(-(2**63), 2**63 - 1),
    Primitive.BOOLEAN: st.booleans(),
    Primitive.DOUBLE: st.floats(allow_nan=False),
    Primitive.DATE: st.dates(),
    Primitive.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
}


def values(type_: AvroType) -> st.SearchStrategy[Any]:
    """Every value that decoding a type can give."""
    match type_:
        case Primitive():
            return PRIMITIVES[type_]
        case EnumType():
            return st.sampled_from(type_.symbols)
        case Nullable():
            return st.none() | values(type_.inner)
        case ArrayType():
            return st.lists(values(type_.items), max_size=3)
        case MapType():
            return st.dictionaries(st.text(max_size=3), values(type_.values), max_size=3)
        case RecordType():
            return st.fixed_dictionaries({field.name: values(field.type) for field in type_.fields})


@cache
def parsed(schema: EventSchema) -> Any:
    return fastavro.parse_schema(json.loads(schema.decoding))


def by_fastavro(schema: EventSchema, event: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed(schema), event)
    return out.getvalue()


EVENTS = st.sampled_from(SCHEMAS).flatmap(lambda s: st.tuples(st.just(s), values(s.type)))

COUNT = {
    "event_id": "018f4c6e-7b1a-7c3d-9e2f-0123456789ab",
    "source": "wms",
    "channel": "store",
    "occurred_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    "sku": "shoe-42",
    "location_id": "store-7",
    "quantity": 12,
}
CANCEL = COUNT | {
    "order_id": "o1",
    "order_channel": "web",
    "order_business_date": date(2026, 3, 1),
    "currency": "EUR",
    "lines": [
        {"line_id": "1", "sku": "shoe-42", "kind": "PRODUCT", "location_id": "", "quantity": 2},
        {"line_id": "2", "sku": "POST", "kind": "CHARGE", "location_id": "", "amount_minor": 495},
    ],
}
for stock_field in ("sku", "location_id", "quantity"):
    del CANCEL[stock_field]


@given(EVENTS)
def test_what_is_written_is_what_fastavro_writes_and_reads_back_the_same(
    drawn: tuple[EventSchema, dict[str, Any]],
) -> None:
    schema, event = drawn
    value = encode(schema, event)
    assert value == schema.prefix + by_fastavro(schema, event)
    assert decode(value, CONTRACT) == (schema, event)


@given(EVENTS)
def test_single_object_encoding_reads_as_the_same_event(drawn: tuple[EventSchema, dict[str, Any]]) -> None:
    schema, event = drawn
    value = b"\xc3\x01" + schema.fingerprint + by_fastavro(schema, event)
    assert decode(value, CONTRACT) == (schema, event)


def test_single_object_prefix_is_the_one_that_fastavro_writes() -> None:
    found = fastavro.schema.fingerprint(
        fastavro.schema.to_parsing_canonical_form(COUNTED.avro), "CRC-64-AVRO"
    )
    assert COUNTED.fingerprint == bytes.fromhex(found)
    # Avro's own figure for the schema "int": 0x7275d51a3f395c8f, little endian here.
    assert fastavro.schema.fingerprint('"int"', "CRC-64-AVRO") == "8f5c393f1ad57572"


# --- what is no event ----------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.sampled_from(SCHEMAS), st.binary(max_size=300))
@example(COUNTED, b"")
def test_random_bytes_give_an_event_or_malformed_event_and_nothing_else(
    schema: EventSchema, body: bytes
) -> None:
    try:
        found, event = decode(schema.prefix + body, CONTRACT)
    except MalformedEvent:
        return
    assert found is schema
    assert decode(encode(schema, event), CONTRACT) == (schema, event)


@settings(max_examples=300)
@given(EVENTS, st.data())
def test_an_event_with_bytes_changed_never_raises_anything_else(
    drawn: tuple[EventSchema, dict[str, Any]], data: st.DataObject
) -> None:
    value = bytearray(encode(*drawn))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        schema, event = decode(bytes(value), CONTRACT)
    except MalformedEvent:
        return
    assert decode(encode(schema, event), CONTRACT) == (schema, event)


def test_an_event_cut_anywhere_is_refused() -> None:
    value = encode(CANCELLED, CANCEL)
    for end in range(len(value)):
        with pytest.raises(MalformedEvent):
            decode(value[:end], CONTRACT)


def test_bytes_left_over_are_refused_and_counted() -> None:
    with pytest.raises(MalformedEvent, match="StockCounted version 1: 3 bytes are left over"):
        decode(encode(COUNTED, COUNT) + b"\0\0\0", CONTRACT)


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (b"\x00\x00\x00\x27\x0f", "schema id 9999 is not in the contract"),
        (b"\xc3\x01" + bytes(8), "no schema of the contract has the fingerprint 0000000000000000"),
        (b"hello", "not Avro in Confluent's wire format or single-object encoding"),
        (b"\x00\x00", "not Avro in Confluent's wire format"),
        (b"", "not Avro in Confluent's wire format"),
    ],
)
def test_a_prefix_that_names_no_schema_is_named(prefix: bytes, said: str) -> None:
    with pytest.raises(MalformedEvent, match=said):
        decode(prefix + (b"body" if len(prefix) >= 5 else b""), CONTRACT)


def varint(number: int) -> bytes:
    out, rest = bytearray(), (number << 1) ^ (number >> 63)
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


def after(schema: EventSchema, event: dict[str, Any], last: str, body: bytes) -> bytes:
    """The event up to (not with) the field `last`, and then `body`."""
    value = bytearray(schema.prefix)
    for field in schema.type.fields:
        if field.name == last:
            return bytes(value) + body
        part = {
            "type": "record",
            "name": "P",
            "fields": [f for f in schema.avro["fields"] if f["name"] == field.name],
        }
        out = io.BytesIO()
        fastavro.schemaless_writer(
            out, fastavro.parse_schema(part), {field.name: event.get(field.name, field.default)}
        )
        value += out.getvalue()
    raise AssertionError(f"{schema.record} has no field {last}")


@pytest.mark.parametrize(
    ("field", "body", "said"),
    [
        ("source", varint(-3) + b"abc", "source: a text of -3 bytes"),
        ("source", varint(2**62) + b"abc", "source: a text of 4611686018427387904 bytes where 3 are left"),
        ("source", varint(2) + b"\xff\xfe", "source: a text that is not UTF-8"),
        ("source_epoch", varint(-1), "source_epoch: union index -1"),
        ("source_epoch", varint(2), "source_epoch: union index 2"),
        ("source_seq", varint(1) + b"\xff" * 9 + b"\x02", "source_seq: a number of more than 64 bits"),
        ("source_seq", varint(1) + b"\xff" * 20, "source_seq: a number of more than 64 bits"),
        ("occurred_at", varint(2**63 - 1), "occurred_at: a time .* outside the years 1 to 9999"),
        ("business_date", varint(1) + varint(2**31 - 1), "business_date: a date .* outside the years"),
        ("business_date", varint(1) + varint(2**31), "business_date: 2147483648 is no int of 32 bits"),
        ("training", b"\x02", "training: a boolean of 2"),
        ("lines", varint(2**40), r"lines\[0\]: 1099511627776 items where 0 bytes are left"),
        ("lines", varint(-(2**63)) + varint(0), r"lines\[0\]: 9223372036854775808 items"),
    ],
)  # fmt: skip
def test_what_no_writer_can_have_meant_is_refused_with_field_and_reason(
    field: str, body: bytes, said: str
) -> None:
    with pytest.raises(MalformedEvent, match=rf"OrderLineCancelled version 1\.{said}"):
        decode(after(CANCELLED, CANCEL, field, body), CONTRACT)


LINE = varint(1) + b"1" + varint(1) + b"s"


@pytest.mark.parametrize("index", [-1, -2, 2, 2**31])
def test_an_enum_index_out_of_range_is_refused_with_its_line(index: int) -> None:
    body = varint(1) + LINE + varint(index) + b"\0" * 8
    with pytest.raises(MalformedEvent, match=rf"\.lines\[0\]\.kind: enum index {index}, .* 0 to 1"):
        decode(after(CANCELLED, CANCEL, "lines", body), CONTRACT)


def sized(body: bytes, off: int = 0) -> bytes:
    return varint(-1) + varint(len(body) + off) + body + varint(0)


def test_lists_in_blocks_with_sizes_are_read() -> None:
    line = LINE + varint(0) + varint(0) + varint(0) + varint(0) + varint(0) + varint(0)
    _, event = decode(after(CANCELLED, CANCEL, "lines", sized(line)), CONTRACT)
    assert [found["line_id"] for found in event["lines"]] == ["1"]


def test_a_block_that_is_not_of_its_size_is_refused() -> None:
    line = LINE + varint(0) + varint(0) + varint(0) + varint(0) + varint(0) + varint(0)
    with pytest.raises(MalformedEvent, match="a block that is -1 bytes off"):
        decode(after(CANCELLED, CANCEL, "lines", sized(line, 1)), CONTRACT)


def test_a_number_spelled_longer_than_need_be_is_read() -> None:
    long_twelve, long_null = b"\x98\x80\x00", b"\x80\x00"
    _, event = decode(after(COUNTED, COUNT, "quantity", long_twelve + long_null), CONTRACT)
    assert (event["quantity"], event["reference"]) == (12, None)


# --- what cannot be written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": 2.0}, "quantity: 2.0 is no whole number"),
        ({"quantity": "2"}, "quantity: '2' is no whole number"),
        ({"quantity": True}, "quantity: True is no whole number"),
        ({"quantity": None}, "quantity: None is no whole number"),
        ({"quantity": 2**63}, "quantity: 9223372036854775808 does not fit into 64 bits"),
        ({"training": 1}, "training: 1 is neither true nor false"),
        ({"sku": 42}, "sku: 42 is no text"),
        ({"sku": b"42"}, "sku: b'42' is no text"),
        ({"sku": "\ud800"}, "sku: a text with half a surrogate pair"),
        ({"occurred_at": datetime(2026, 3, 1)}, "occurred_at: .* is no time with a time zone"),  # noqa: DTZ001
        ({"occurred_at": "2026-03-01T00:00:00Z"}, "occurred_at: .* is no time"),
        ({"business_date": datetime(2026, 3, 1, tzinfo=UTC)}, "business_date: .* is no date"),
        ({"business_date": 20000}, "business_date: 20000 is no date"),
        ({"colour": "red"}, ": StockCounted has no field 'colour'"),
    ],
)
def test_nothing_is_converted(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedEvent, match=rf"StockCounted\.?{said}"):
        encode(COUNTED, COUNT | change)


def test_a_field_without_default_has_to_be_given() -> None:
    with pytest.raises(MalformedEvent, match=r"StockCounted\.sku: is missing"):
        encode(COUNTED, {name: value for name, value in COUNT.items() if name != "sku"})


def test_an_unknown_symbol_names_the_line() -> None:
    lines = [CANCEL["lines"][0], CANCEL["lines"][1] | {"kind": "GIFT"}]  # type: ignore[index]
    with pytest.raises(MalformedEvent, match=r"\.lines\[1\]\.kind: 'GIFT' is none of PRODUCT, CHARGE"):
        encode(CANCELLED, CANCEL | {"lines": lines})


def test_a_coordinate_is_a_float() -> None:
    place = CONTRACT.latest("LocationDescribed")
    event = {name: COUNT[name] for name in ("event_id", "source", "channel", "occurred_at", "location_id")}
    with pytest.raises(MalformedEvent, match="latitude: 51 is no floating-point number"):
        encode(place, event | {"name": "Shop", "kind": "store", "latitude": 51})


def test_what_is_absent_gets_its_default() -> None:
    _, event = decode(encode(CANCELLED, CANCEL), CONTRACT)
    assert (event["training"], event["order_location_id"], event["source_seq"]) == (False, "", None)
    assert event["lines"][0]["released"] == []


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    berlin = timezone(timedelta(hours=1))
    there = COUNT | {"occurred_at": datetime(2026, 3, 1, 10, 30, tzinfo=berlin)}
    assert encode(COUNTED, there) == encode(COUNTED, COUNT)


def test_maps_are_written_and_read(contract_folder: Any) -> None:
    attributes = {"name": "attributes", "type": {"type": "map", "values": "long"}, "doc": "Counts."}
    where = [{"name": n, "type": "string", "doc": n} for n in ("sku", "location_id")]
    contract = Contract.from_directory(contract_folder({"stock/Tagged": [[*where, attributes]]}))
    tagged = contract.latest("Tagged")
    event = {name: value for name, value in COUNT.items() if name != "quantity"} | {
        "attributes": {"a": 1, "ü": -2}
    }
    value = encode(tagged, event)
    assert value == tagged.prefix + by_fastavro(tagged, event)
    assert decode(value, contract)[1]["attributes"] == {"a": 1, "ü": -2}
    with pytest.raises(MalformedEvent, match=r"attributes: key 'a' twice"):
        decode(value.replace("ü".encode(), b"a").replace(varint(2) + b"a", varint(1) + b"a"), contract)


def test_a_hostile_length_costs_no_time() -> None:
    start = time.perf_counter()
    for field in ("source", "lines"):
        with pytest.raises(MalformedEvent):
            decode(after(CANCELLED, CANCEL, field, varint(2**61) + string.ascii_letters.encode()), CONTRACT)
    assert time.perf_counter() - start < 1
