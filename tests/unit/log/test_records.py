"""The record layer: reading blocks gives what reading record by record gives, whatever the bytes."""

import random
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillroll.errors import MalformedEvent
from tillroll.log import records
from tillroll.log.encode import encode_records, encode_values, varint
from tillroll.log.port import Batch, Parts
from tillroll.log.records import RECORD_FRAME, read_records

LONG = st.integers(-(2**63), 2**63 - 1)
BYTES = st.one_of(st.binary(max_size=8), st.binary(min_size=60, max_size=70), st.just(b"x" * 9_000))
DAY = 86_400_000


@pytest.fixture(autouse=True)
def _blocks_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FEWEST_FOR_BLOCKS", 1)


def batch_of(body: bytes, count: int, base: int = 0, append_time: int | None = None) -> Batch:
    return Batch("t", 0, base, base + max(count, 1) + 100, count, 1_700_000_000_000, append_time, body)


def one_by_one(batches: Sequence[Batch]) -> pl.DataFrame:
    """What the walk alone reads: the yardstick."""
    parts = [records._meant(records._read_one_by_one([b], n), [b], n) for n, b in enumerate(batches)]
    return pl.concat([RECORD_FRAME.to_frame(), *parts])


def both_ways(batches: Sequence[Batch]) -> tuple[object, object]:
    """What each way gives: rows, or that it refuses."""
    return _outcome(read_records, batches), _outcome(one_by_one, batches)


def _outcome(read: object, batches: Sequence[Batch]) -> object:
    try:
        frame = read(batches)  # type: ignore[operator]
    except MalformedEvent:
        return "refused"
    assert frame.schema == RECORD_FRAME
    return frame.rows()


def refused(body: bytes, count: int) -> bool:
    return both_ways([batch_of(body, count)]) == ("refused", "refused")


# --- what is well-formed ------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(-DAY, DAY), BYTES, BYTES), min_size=1, max_size=12),
            st.integers(0, 2**62),
            st.sampled_from([None, 0, 1_700_000_000_123]),
            st.integers(-3, 14),
            st.integers(-3, 14),
        ),
        max_size=6,
    )
)
def test_blocks_give_the_same_rows(
    drawn: list[tuple[list[tuple[int, bytes, bytes]], int, int | None, int, int]],
) -> None:
    batches = []
    for rows, base, append_time, start, stop in drawn:
        body = encode_records((time, n, key, value) for n, (time, key, value) in enumerate(rows))
        batch = Batch("t", 1, base, base + len(rows), len(rows), 1_700_000_000_000, append_time, body)
        batches.append(replace(batch, start=base + start if start > 0 else None).until(base + max(0, stop)))
    assert read_records(batches).rows() == one_by_one(batches).rows()


def test_offsets_times_keys_and_values_are_those_that_were_written() -> None:
    body = encode_records([(0, 0, b"a", b"1"), (5, 2, None, b"2"), (7, 3, b"", None)])
    frame = read_records([batch_of(body, 3, base=40)])
    assert frame.select("_offset", "key", "value").rows() == [
        (40, b"a", b"1"),
        (42, None, b"2"),
        (43, b"", None),
    ]
    assert frame["_recorded_at"].dt.epoch("ms").to_list() == [1_700_000_000_000 + n for n in (0, 5, 7)]


def test_the_time_of_the_append_counts_for_every_record_where_there_is_one() -> None:
    body = encode_records([(0, 0, b"a", b"1"), (5, 1, b"a", b"2")])
    frame = read_records([batch_of(body, 2, append_time=1_800_000_000_000)])
    assert frame["_recorded_at"].dt.epoch("ms").to_list() == [1_800_000_000_000] * 2


def test_plain_batches_are_read_as_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(batch: Batch) -> Iterator[object]:
        raise AssertionError("went record by record")

    monkeypatch.setattr(records, "_walk", walk)
    batches = [batch_of(encode_values([b"k"] * n, [b"v" * n] * n), n, base=100 * n) for n in (1, 70, 3)]
    assert len(read_records(batches)) == 74


def test_one_odd_batch_leaves_the_others_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    walk = records._walk

    def counted(batch: Batch) -> Iterator[tuple[int, int, bytes | None, bytes | None]]:
        walked.append(batch.base_offset)
        return walk(batch)

    monkeypatch.setattr(records, "_walk", counted)
    bodies = [encode_values([b"k"] * 50, [b"v"] * 50) for _ in range(8)]
    batches = [batch_of(body, 50, base=100 * n) for n, body in enumerate(bodies)]
    batches[5] = batch_of(encode_records([(0, 0, None, b"v")]), 1, base=500)
    assert len(read_records(batches)) == 351
    assert walked == [500]


def test_few_records_are_not_worth_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FEWEST_FOR_BLOCKS", 10)
    monkeypatch.setattr(records, "_read_blocks", lambda batches, count: pytest.fail("read a block"))
    assert len(read_records([batch_of(encode_values([b"k"] * 9, [b"v"] * 9), 9)])) == 9


def test_many_small_batches_make_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame each took 0.3 ms a batch: a till's batches hold one record, and so half a second of every small read."""
    monkeypatch.setattr(records, "FEWEST_FOR_BLOCKS", 1_000)
    made: list[int] = []
    read = records._read_one_by_one

    def counted(batches: Sequence[Batch], first: int) -> pl.DataFrame:
        made.append(len(batches))
        return read(batches, first)

    monkeypatch.setattr(records, "_read_one_by_one", counted)
    body = encode_values([b"k"], [b"v"])
    batches = [batch_of(body, 1, base=n) for n in range(300)]
    assert read_records(batches)["_offset"].to_list() == list(range(300))
    assert made == [300]


@pytest.mark.parametrize("fewest", [1, 10_000])
@pytest.mark.parametrize("append_time", [None, 1_800_000_000_000])
def test_small_batches_end_to_end_read_as_they_do_apart(
    monkeypatch: pytest.MonkeyPatch, fewest: int, append_time: int | None
) -> None:
    monkeypatch.setattr(records, "FEWEST_FOR_BLOCKS", fewest)
    sizes, bases = [1, 3, 1, 2, 1], [40, 41, 50, 60, 62]
    bodies = [encode_values([b"k"] * size, [b"%d" % size] * size) for size in sizes]
    times = [1_700_000_000_000 + n for n in range(5)]
    apart = [
        replace(batch_of(body, size, base=base, append_time=append_time), first_timestamp=time)
        for body, size, base, time in zip(bodies, sizes, bases, times, strict=True)
    ]
    joined = replace(
        apart[0],
        body=b"".join(bodies),
        count=8,
        next_offset=63,
        parts=Parts(*(struct.pack(">5q", *numbers) for numbers in (bases, sizes, times))),
        start=42,
        stop=62,
    )
    wanted = read_records(apart).drop("_batch").filter(pl.col("_offset").is_between(42, 61))
    assert len(wanted) == 5
    assert read_records([joined]).drop("_batch").equals(wanted)
    assert joined.parts is not None
    assert joined.parts.next_offset == 63
    both = read_records([joined, apart[0], joined, joined])
    assert both["_batch"].to_list() == [0] * 5 + [1] + [2] * 5 + [3] * 5
    assert both.filter(pl.col("_batch") != 1).drop("_batch").equals(pl.concat([wanted] * 3))


def test_batches_without_records_are_passed_over() -> None:
    full = batch_of(encode_values([b"k"] * 3, [b"v"] * 3), 3)
    empty = batch_of(b"", 0)
    for batches in ([empty], [empty, full], [full, empty], [empty, full, empty, empty, full], []):
        got, wanted = both_ways(batches)
        assert got == wanted
        assert len(wanted) == 3 * batches.count(full)  # type: ignore[arg-type]


@pytest.mark.parametrize("time", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_a_producer_s_absurd_clock_stops_nobody(time: int) -> None:
    body = encode_records([(0, 0, b"a", b"1"), (time, 1, b"b", b"2")])
    got, wanted = both_ways([batch_of(body, 2)])
    assert got == wanted
    assert [row[4] for row in wanted] == [b"1", b"2"]  # type: ignore[attr-defined]


# --- what is not --------------------------------------------------------------------------------------


def plain(key: bytes = b"k", value: bytes = b"v", offset: int = 0) -> bytes:
    return encode_records([(0, offset, key, value)])


def framed(inner: bytes) -> bytes:
    return varint(len(inner)) + inner


HEADERS = framed(b"\x00\x00\x00\x02k\x02v\x02\x02h\x02x")

HOSTILE = {
    "a count that says less": (plain() + plain(offset=1), 1),
    "a count that says more": (plain(), 2),
    "a count of millions": (plain(), 50_000_000),
    "a count beyond all memory": (plain(), 2**31 - 1),
    "nothing at all": (b"", 1),
    "a trailing byte": (plain() + b"\x00", 1),
    "cut by a byte": (plain()[:-1], 1),
    "a length that says less": (varint(5) + plain()[1:], 1),
    "a length that says more": (varint(9) + plain()[1:], 1),
    "lengths that lie in turn": (varint(9) + plain()[1:] + varint(7) + plain(offset=1)[1:], 2),
    "a negative length": (varint(-8) + plain()[1:], 1),
    "a key longer than all": (framed(b"\x00\x00\x00" + varint(2**40) + b"k\x02v\x00"), 1),
    "a key of length -2": (framed(b"\x00\x00\x00\x03\x02v\x00"), 1),
    "a value of length -5": (framed(b"\x00\x00\x00\x02k" + varint(-5) + b"\x00"), 1),
    "headers without end": (framed(b"\x00\x00\x00\x02k\x02v" + varint(2**60)), 1),
    "a negative header count": (framed(b"\x00\x00\x00\x02k\x02v\x01"), 1),
    "a number of 70 bits": (framed(b"\x00" + b"\xff" * 9 + b"\x7f" + b"\x00\x02k\x02v\x00"), 1),
    "a number without end": (framed(b"\x00" + b"\xff" * 30), 1),
    "an over-long number and a byte short": (
        varint(8) + b"\x00\x00\x00\x82\x00k\x02v",  # the header count would be the sync marker's first byte
        1,
    ),
    "an offset before the batch": (encode_records([(0, -1, b"k", b"v")]), 1),
    "an offset beyond the batch": (encode_records([(0, 2**40, b"k", b"v")]), 1),
    "an offset beyond all numbers": (encode_records([(0, 2**63 - 1, b"k", b"v")]), 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses(name: str) -> None:
    assert refused(*HOSTILE[name])


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_among_good_ones(name: str) -> None:
    good = batch_of(encode_values([b"k"] * 20, [b"v"] * 20), 20)
    bad = replace(batch_of(*HOSTILE[name]), next_offset=60)
    for batches in ([good, bad, good], [bad, bad], [bad, good]):
        assert both_ways(batches) == ("refused", "refused")


def test_a_byte_missing_in_one_batch_is_not_taken_from_the_next() -> None:
    """Both bodies add up together, over-long numbers making up for what is missing; each alone does not."""
    short = varint(8) + b"\x00\x00\x00\x82\x00k\x02v"
    assert both_ways([batch_of(short, 1), batch_of(b"\x00" + plain()[:-1], 1)]) == ("refused", "refused")


def test_headers_are_passed_over() -> None:
    got, wanted = both_ways([batch_of(HEADERS + plain(offset=1), 2)])
    assert got == wanted
    assert [row[3:] for row in wanted] == [(b"k", b"v")] * 2  # type: ignore[attr-defined]


def test_attributes_have_no_meaning() -> None:
    got, wanted = both_ways([batch_of(framed(b"\x07\x00\x00\x02k\x02v\x00"), 1)])
    assert got == wanted
    assert len(wanted) == 1  # type: ignore[arg-type]


def test_over_long_numbers_mean_what_they_say() -> None:
    got, wanted = both_ways([batch_of(framed(b"\x00\x80\x00\x00\x82\x00k\x02v\x00"), 1)])
    assert got == wanted
    assert wanted[0][3:] == (b"k", b"v")  # type: ignore[index]


# --- thousands of random ones, in a process that may be killed ------------------------------------------


def test_thousands_of_damaged_batches_are_read_alike_and_never_hang() -> None:
    """In a process of its own: polars-avro 0.13 can loop for ever, and nothing in the same process would stop it."""
    done = subprocess.run(
        [sys.executable, __file__, "2500"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["2500", "alike"]


def _random_body(chance: random.Random) -> tuple[bytes, int]:
    """The body of a batch of 1 to 20 records, often damaged, and its count, which may lie."""
    odd = chance.random() < 0.3
    rows = []
    for n in range(chance.randint(1, 20)):
        key = (
            None if odd and chance.random() < 0.2 else chance.randbytes(chance.choice((0, 1, 8, 63, 64, 130)))
        )
        value = (
            None if odd and chance.random() < 0.2 else chance.randbytes(chance.choice((0, 5, 63, 64, 200)))
        )
        rows.append((chance.randint(-70, 70), n, key, value))
    body, count = encode_records(rows), len(rows)
    if chance.random() < 0.2:
        body, count = body + HEADERS, count + 1
    if chance.random() < 0.6:
        from tillroll.testing.generate import mutated

        body = mutated(body, chance)
    return body, count + (chance.choice((-1, 1, 1000)) if chance.random() < 0.1 else 0)


def _compare(rounds: int) -> None:
    chance = random.Random("records")
    records.FEWEST_FOR_BLOCKS = 1
    for n in range(rounds):
        batches = [
            batch_of(*_random_body(chance), append_time=chance.choice((None, 5)))
            for _ in range(chance.choice((1, 1, 2, 5)))
        ]
        got, wanted = both_ways(batches)
        if got != wanted:
            raise AssertionError(f"round {n}: {batches}\nblocks: {got}\nwalk: {wanted}")
    print(rounds, "alike")  # noqa: T201 - the answer of this process


if __name__ == "__main__":
    _compare(int(sys.argv[1]))
