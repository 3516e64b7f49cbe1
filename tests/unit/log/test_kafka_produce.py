"""Whole batches for kafka-python's producer: the same bytes as record by record, and nothing guessed."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import errors
from kafka.record.memory_records import MemoryRecordsBuilder

from tillroll.log import encode
from tillroll.log.encode import encode_fresh
from tillroll.log.kafka_produce import WholeBatch, _known, _parts
from tillroll.log.port import Record, TopicPartition

ORIGIN = TopicPartition("orders", 3)
NOW = 1_700_000_000_123
BYTES = st.one_of(st.binary(max_size=8), st.binary(min_size=60, max_size=70), st.just(b"x" * 900))
RECORDS = st.lists(st.builds(Record, BYTES, BYTES, st.just("")), min_size=1, max_size=200)


def whole(records: list[Record], compression: int = 4, most: int = 10**9) -> WholeBatch:
    (rows,) = list(_parts(records, most) or ())
    return WholeBatch(ORIGIN, encode_fresh(rows), len(rows), compression, NOW)


def by_record(records: list[Record], compression: int) -> Any:
    """What kafka-python makes of the same records."""
    builder = MemoryRecordsBuilder(2, compression, 10**9)
    for record in records:
        builder.append(NOW, record.key, record.value, [])
    return builder


def sent(builder: Any) -> bytes:
    """The bytes that leave for the broker."""
    builder.set_producer_state(4_711, 2, 90_000, False)
    builder.close()
    return bytes(builder.buffer())


@pytest.mark.parametrize("fewest", [1, 10**9], ids=["block", "loop"])
@given(RECORDS, st.sampled_from([0, 4]))
@settings(max_examples=100, deadline=None)
def test_a_batch_is_byte_for_byte_that_of_the_client(
    fewest: int, records: list[Record], compression: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "FEWEST_FOR_BLOCKS", fewest)
        batch = whole(records, compression)
    theirs = by_record(records, compression)
    assert batch.record_count == theirs.next_offset() == len(records)
    assert sent(batch.records) == sent(theirs)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (4_711, 2, 90_000)


def test_a_batch_takes_nothing_more_in() -> None:
    batch = whole([Record(b"k", b"v", "")])
    assert batch.records.is_full()
    assert batch.try_append(NOW, b"", b"", []) is None
    batch.records.close()
    assert batch.try_append(NOW, b"", b"", []) is None
    assert batch.record_count == 1


@given(RECORDS, st.integers(1_900, 60_000))
@settings(max_examples=100, deadline=None)
def test_parts_hold_everything_in_order_within_their_size(records: list[Record], most: int) -> None:
    parts = list(_parts(records, most) or ())
    rows = [row for part in parts for row in part.rows()]
    assert rows == [(record.key, record.value) for record in records]
    assert all(len(encode_fresh(part)) <= most for part in parts)
    assert all(len(part) for part in parts)


def test_parts_are_as_few_as_can_be() -> None:
    records = [Record(b"key", b"v" * 82, "")] * 1_000  # 100 bytes each with what is reserved for lengths
    assert [len(part) for part in _parts(records, 30_000) or ()] == [300, 300, 300, 100]


def test_a_record_larger_than_a_batch_is_left_to_the_client() -> None:
    assert _parts([Record(b"k", b"v", ""), Record(b"k", b"v" * 1_000, "")], 1_000) is None


def test_offsets_follow_from_that_of_the_batch() -> None:
    batch = whole([Record(b"k", b"v", "")] * 3)
    batch.complete(70, NOW)
    assert list(batch.offsets(time.monotonic())) == [70, 71, 72]


def test_a_refusal_is_raised() -> None:
    batch = whole([Record(b"k", b"v", "")] * 3)
    batch.abort(errors.TopicAuthorizationFailedError("orders"))
    with pytest.raises(errors.TopicAuthorizationFailedError):
        batch.offsets(time.monotonic())


def test_no_answer_in_time_is_an_error() -> None:
    with pytest.raises(errors.KafkaTimeoutError, match="3 records"):
        whole([Record(b"k", b"v", "")] * 3).offsets(time.monotonic() + 0.01)


def test_an_acknowledgement_that_does_not_say_where_is_an_error() -> None:
    batch = whole([Record(b"k", b"v", "")] * 3)
    batch.complete(-1, -1)
    with pytest.raises(errors.DuplicateSequenceNumberError, match="not where"):
        _known(list(batch.offsets(time.monotonic())))
    assert _known([]) == []
