"""The event layer: the native decoder gives what reading value by value gives, whatever the bytes."""

import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from tillroll.contract.avro_writer import writer
from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import SINGLE_OBJECT, EventSchema, load_contract
from tillroll.contract.wire import encode
from tillroll.log import columns, decode
from tillroll.log.decode import PLACE, Decoded, decode_batches, decode_records
from tillroll.log.encode import encode_records, varint
from tillroll.log.port import Batch
from tillroll.log.records import read_records
from tillroll.testing.generate import Generator, mutated

CONTRACT = load_contract()
SCHEMAS = [CONTRACT.by_id[id_] for id_ in sorted(CONTRACT.by_id)]
RECEIVED = CONTRACT.latest("StockReceived")
PLACED = CONTRACT.latest("OrderPlaced")
NATIVE, ONE_BY_ONE = 2, 1 << 60


def batch_of(values: Sequence[bytes | None]) -> Batch:
    body = encode_records((0, n, b"key", value) for n, value in enumerate(values))
    return Batch("t", 3, 1000, 1000 + len(values), len(values), 1_700_000_000_000, None, body)


def decoded(values: Sequence[bytes | None], fewest: int, wanted: Sequence[str] | None = None) -> Decoded:
    """`values` decoded with the native path from `fewest` values on."""
    before = decode.FEWEST_FOR_NATIVE
    decode.FEWEST_FOR_NATIVE = fewest
    try:
        return decode_batches([batch_of(values)], CONTRACT, wanted)
    finally:
        decode.FEWEST_FOR_NATIVE = before


def told(result: Decoded) -> tuple[dict[str, Any], dict[int, bytes | None]]:
    """Frames and rejects in an order of their own."""
    assert all(reject.reason for reject in result.rejects)
    frames = {record: frame.sort("_offset").rows() for record, frame in result.frames.items() if len(frame)}
    return frames, {reject.position.offset: reject.value for reject in result.rejects}


def alike(values: Sequence[bytes | None]) -> tuple[dict[str, Any], dict[int, bytes | None]]:
    """What both ways say of `values`, having said the same."""
    native, slow = told(decoded(values, NATIVE)), told(decoded(values, ONE_BY_ONE))
    assert native[1] == slow[1]
    assert native[0] == slow[0]
    return native


def events(schema: EventSchema, size: int, seed: int = 0) -> list[dict[str, Any]]:
    generator = Generator(f"{schema.name} {seed}")
    return [generator.event(schema) for _ in range(size)]


def encoded(schema: EventSchema, size: int, seed: int = 0) -> list[bytes]:
    return [encode(schema, event) for event in events(schema, size, seed)]


def single_object(schema: EventSchema, value: bytes) -> bytes:
    return SINGLE_OBJECT + schema.fingerprint + value[5:]


# --- valid values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_every_record_reads_back_what_was_written(schema: EventSchema) -> None:
    wanted = events(schema, 80)
    frames, rejects = alike([encode(schema, event) for event in wanted])
    assert rejects == {}
    newest = CONTRACT.latest(schema.record)
    if newest is schema:
        columns = [*PLACE, *frame_schema(schema)]
        got = [dict(zip(columns, row, strict=True)) for row in frames[schema.record]]
        assert [{name: row[name] for name in frame_schema(schema)} for row in got] == wanted


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_frames_have_the_types_of_the_contract(schema: EventSchema) -> None:
    values = encoded(schema, 5)
    wanted = frame_schema(CONTRACT.latest(CONTRACT.newest_record(schema.record)))
    for fewest in (NATIVE, ONE_BY_ONE):
        frame = decoded(values, fewest).frames[CONTRACT.newest_record(schema.record)]
        assert dict(frame.drop(PLACE).schema) == dict(wanted)


def test_plain_values_go_the_native_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise AssertionError("went value by value")

    monkeypatch.setattr(decode, "decode", refuse)
    assert len(decoded(encoded(PLACED, 200), NATIVE).frames["OrderPlaced"]) == 200


@pytest.mark.parametrize("size", [1, 2, 199])
def test_many_values_are_encoded_by_two_threads_in_their_order(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    values = pl.Series(encoded(PLACED, size), dtype=pl.Binary).bin.slice(5)
    monkeypatch.setattr(columns, "MANY", 1)
    frame, whole = columns.from_values(PLACED, values)
    assert whole.all()
    assert columns.to_values(PLACED, frame).to_list() == values.to_list()


def test_few_values_are_not_worth_a_native_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "from_values", lambda *_: pytest.fail("went the native way"))
    assert len(decode_batches([batch_of(encoded(PLACED, 69))], CONTRACT).frames["OrderPlaced"]) == 69


def test_rows_say_where_their_event_stood() -> None:
    values = encoded(RECEIVED, 3)
    frame = decode_batches([batch_of([]), batch_of(values)], CONTRACT).frames["StockReceived"]
    assert frame["_batch"].to_list() == [1, 1, 1]
    assert frame["_offset"].to_list() == [1000, 1001, 1002]


def test_only_wanted_records_are_read() -> None:
    values = encoded(RECEIVED, 5) + encoded(PLACED, 5) + [b"\x00\x00\x00\x00\x00"]
    result = decoded(values, NATIVE, ["OrderPlaced"])
    assert list(result.frames) == ["OrderPlaced"]
    assert len(result.rejects) == 1


def test_types_and_formats_mixed_are_told_apart() -> None:
    mixed = [value for pair in zip(encoded(RECEIVED, 90), encoded(PLACED, 90), strict=True) for value in pair]
    values = mixed + [single_object(RECEIVED, value) for value in encoded(RECEIVED, 30, seed=1)]
    random.Random(1).shuffle(values)
    frames, rejects = alike(values)
    assert {record: len(rows) for record, rows in frames.items()} == {"StockReceived": 120, "OrderPlaced": 90}
    assert rejects == {}


# --- hostile values -----------------------------------------------------------------------------------


def crafted(schema: EventSchema = PLACED) -> dict[str, bytes | None]:
    """One value each of what has gone wrong somewhere once."""
    good = encode(schema, {**events(schema, 1)[0], "training": False})
    flag = good.index(b"\x00", 5)
    return {
        "a tombstone": None,
        "nothing": b"",
        "a prefix cut short": b"\x00\x00",
        "a prefix alone": schema.prefix,
        "an unknown id": b"\x00\x7f\xff\xff\xff" + good[5:],
        "a negative id": b"\x00\xff\xff\xff\xff" + good[5:],
        "an unknown fingerprint": SINGLE_OBJECT + b"12345678" + good[5:],
        "a fingerprint cut short": SINGLE_OBJECT + schema.fingerprint[:5],
        "text": b'{"event_id": 1}',
        "trailing bytes": good + b"\x00",
        "many trailing bytes": good + good,
        "cut by a byte": good[:-1],
        "a length beyond the end": good[:5] + b"\xfe\xff\x03" + good[6:],
        "a negative length": good[:5] + b"\x01" + good[6:],
        "a length beyond all memory": good[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + good[6:],
        "a text that is not UTF-8": good[:6] + b"\xff" + good[7:],
        "a text that is not UTF-8, and what its repair would add": good[:6]
        + b"\xff"
        + good[7:]
        + b"\x00\x00",
        "a zero changed to minus one": good[:flag] + b"\x01" + good[flag + 1 :],
    }


@pytest.mark.parametrize("name", crafted())
def test_damaged_values_are_refused_one_by_one(name: str) -> None:
    good, bad = encoded(PLACED, 100), crafted()[name]
    frames, rejects = alike([*good[:37], bad, *good[37:]])
    assert rejects == {1037: bad}
    assert [row[1] for row in frames["OrderPlaced"]] == [n for n in range(1000, 1101) if n != 1037]


def test_reasons_say_what_is_wrong() -> None:
    values = crafted()
    reasons = {name: decoded([value], NATIVE).rejects[0].reason for name, value in values.items()}
    assert "tombstone" in reasons["a tombstone"]
    assert "2147483647" in reasons["an unknown id"]
    assert "fingerprint" in reasons["an unknown fingerprint"]
    assert "left over" in reasons["trailing bytes"]
    assert "OrderPlaced" in reasons["cut by a byte"]
    assert "7b226576" in reasons["text"]


def spelt(schema: EventSchema, place: str, bytes_: bytes) -> bytes:
    """An event of `schema` whose field `place` is written as `bytes_`."""
    event = events(schema, 1, seed=5)[0]
    out = bytearray(schema.prefix)
    for field in schema.type.fields:
        if field.name == place:
            out += bytes_
        else:
            writer(field.type)(out, event[field.name])
    return bytes(out)


LINE = b"\x02a\x02s"  # the beginning of a line: line_id, sku

SPELLINGS = {
    "a time before the year 1": (RECEIVED, "occurred_at", b"\xff\xff\xd3\xf2\xe8\xb4\x9d\xff\x02", True),
    "a time after the year 9999": (
        RECEIVED,
        "occurred_at",
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        True,
    ),
    "a date before the year 1": (RECEIVED, "business_date", b"\x02\xff\xff\xff\xff\x0f", True),
    "a date after the year 9999": (RECEIVED, "business_date", b"\x02\xfe\xff\xff\xff\x0f", True),
    "a date of more than 32 bits": (RECEIVED, "business_date", b"\x02\xfe\xff\xff\xff\xff\x0f", True),
    "a boolean of 2": (RECEIVED, "training", b"\x02", True),
    "a boolean of 255": (RECEIVED, "training", b"\xff", True),
    "a union index of 2": (RECEIVED, "source_seq", b"\x04\x02", True),
    "a union index of -1": (RECEIVED, "source_seq", b"\x01\x02", True),
    "a union index of -2": (RECEIVED, "source_seq", b"\x03\x02", True),
    "an over-long union index": (RECEIVED, "source_seq", b"\x82\x00\x02", False),
    "an over-long null": (RECEIVED, "source_seq", b"\x80\x00", False),
    "an over-long number": (RECEIVED, "quantity", b"\x82\x80\x00", False),
    "a number of 70 bits": (RECEIVED, "quantity", b"\xff" * 9 + b"\x7f", True),
    "a number of 64 bits and a bit": (RECEIVED, "quantity", b"\xff" * 9 + b"\x03", True),
    "a number of 64 bits": (RECEIVED, "quantity", b"\xff" * 9 + b"\x01", False),
    "an over-long length": (RECEIVED, "sku", b"\x82\x00s", False),
    "an array in two blocks": (PLACED, "customer", b"\x02\x02k\x02v\x02\x02k\x02w\x00", False),
    "an array in a sized block": (PLACED, "customer", b"\x01\x08\x02k\x02v\x00", False),
    "an array in a block with another size": (PLACED, "customer", b"\x01\x0a\x02k\x02v\x00", True),
    "an array of very many": (PLACED, "customer", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", True),
    "an array of the most negative": (
        PLACED,
        "customer",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
        True,
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    schema, field, bytes_, refused = SPELLINGS[name]
    good, odd = encoded(schema, 20), spelt(schema, field, bytes_)
    frames, rejects = alike([*good[:7], odd, *good[7:]])
    assert rejects == ({1007: odd} if refused else {})
    assert len(frames[schema.record]) == 20 + (not refused)


@pytest.mark.parametrize("index", [-1, -2, 2, 5, 2**31, -(2**63)])
def test_enum_indexes_outside_are_refused(index: int) -> None:
    line = LINE + varint(index) + b"\x00" * 6
    good, odd = encoded(PLACED, 20), spelt(PLACED, "lines", b"\x02" + line + b"\x00")
    _, rejects = alike([*good[:7], odd, *good[7:]])
    assert rejects == {1007: odd}


def test_nothing_but_hostile_values() -> None:
    bad = [value for value in crafted().values() for _ in range(5)]
    frames, rejects = alike(bad)
    assert frames == {}
    assert len(rejects) == len(bad)


def test_records_may_be_given_that_no_batch_holds() -> None:
    """What a void names is decoded so: rows without batches of their own."""
    batch = batch_of(encoded(RECEIVED, 3))
    rows = read_records([batch]).filter(pl.col("_offset") > 1000)
    assert len(decode_records(rows, [batch], CONTRACT).frames["StockReceived"]) == 2


# --- thousands of random ones, in a process that may be killed ------------------------------------------


def test_thousands_of_damaged_values_are_read_alike_and_never_hang() -> None:
    done = subprocess.run(
        [sys.executable, __file__, "150"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == "alike"


def _hostile(chance: random.Random) -> list[bytes | None]:
    """Values of a few records, a part of them damaged once or more."""
    generator = Generator(chance.random().hex())
    share, values = chance.choice((0.02, 0.2, 0.9)), list[bytes | None]()
    for _ in range(chance.choice((5, 60))):
        schema = chance.choice(SCHEMAS)
        value = encode(schema, generator.event(schema))
        if chance.random() < 0.1:
            value = single_object(schema, value)
        head = 5 if value[:1] == b"\x00" else 10
        while chance.random() < share:
            value = (
                value[:head] + mutated(value[head:], chance)
                if chance.random() < 0.9
                else mutated(value, chance)
            )
        values.extend([value] * chance.choice((1, 1, 3)))
    return values


def _compare(rounds: int) -> None:
    chance, refused, taken = random.Random("decode"), 0, 0
    for n in range(rounds):
        values = _hostile(chance)
        try:
            frames, rejects = alike(values)
        except AssertionError as error:
            raise AssertionError(f"round {n}: {_first_difference(values)}") from error
        refused, taken = refused + len(rejects), taken + sum(map(len, frames.values()))
    assert min(refused, taken) > 10 * rounds
    print(refused, "refused,", taken, "taken,", "alike")  # noqa: T201 - the answer of this process


def _first_difference(values: list[bytes | None]) -> object:
    for value in values:
        twice = [value, value]
        native, slow = told(decoded(twice, NATIVE)), told(decoded(twice, ONE_BY_ONE))
        if native != slow:
            return value, native, slow, decoded(twice, ONE_BY_ONE).rejects[:1]
    return "none of the values alone"


if __name__ == "__main__":
    _compare(int(sys.argv[1]))


@pytest.mark.parametrize("id_", ["", "e1", "0" * 36, "01920000-0000-7000-8000-00000000000g", "\u00e9" * 18])
def test_an_event_id_that_is_no_uuid_is_refused_on_both_ways(id_: str) -> None:
    """Admission knows an event by this id: with another one each copy of it would count."""
    values = [encode(PLACED, event) for event in events(PLACED, 100)]
    values[40] = encode(PLACED, events(PLACED, 1)[0] | {"event_id": id_})
    frames, rejects = alike(values)
    assert rejects == {1040: values[40]}
    assert len(frames[PLACED.record]) == len(values) - 1
