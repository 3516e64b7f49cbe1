"""Batches in the formats before Kafka 0.11, which brokers no longer write but old segments may hold."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

from tillroll.log.kafka_fetch import _WholeBatches
from tillroll.log.port import Batch
from tillroll.log.records import read_records

ORIGIN = TopicPartition("old", 3)


def fetched(magic: int, codec: int, size: int) -> bytearray:
    builder = MemoryRecordsBuilder(magic, codec, 1_000_000, offset=50)
    for n in range(size):
        key = f"key {n}".encode() if n % 3 else None
        builder.append(1_500_000_000_000 + n * 7, key, f"value {n}".encode() if n % 5 else None, [])
    builder.close()
    return bytearray(builder.buffer())


def taken(kind: type[Any], data: bytearray, offset: int) -> tuple[list[Any], int]:
    part = kind(offset, ORIGIN, MemoryRecords(bytes(data)))
    return part.take(10**9), part.next_fetch_offset


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
@pytest.mark.parametrize("offset", [50, 57])
def test_they_read_as_records_do(magic: int, codec: int, offset: int) -> None:
    data = fetched(magic, codec, 20)
    records, expected_next = taken(Fetcher.PartitionRecords, data, offset)
    batches, reached = taken(_WholeBatches, data, offset)
    read = read_records(batches).select("_offset", "_recorded_at", "key", "value").rows()
    assert [(row[0], int(row[1].timestamp() * 1000), *row[2:]) for row in read] == [
        (r.offset, max(r.timestamp or 0, 0), r.key, r.value) for r in records
    ]
    assert len(records) == 70 - offset
    assert reached == expected_next == 70


@pytest.mark.parametrize("magic", [0, 1, 2])
def test_a_changed_byte_is_noticed(magic: int) -> None:
    data = fetched(magic, 0, 3)
    data[-3] ^= 1
    part = _WholeBatches(0, ORIGIN, MemoryRecords(bytes(data)))
    before = 0 if magic == 2 else 2  # without compression each old record is a batch of its own
    if before:
        assert len(part.take()) == before
    with pytest.raises(CorruptRecordError):
        part.take()


def test_what_came_before_a_damaged_batch_is_given_first() -> None:
    good, bad = fetched(2, 0, 3), fetched(2, 0, 3)
    bad[-3] ^= 1
    part = _WholeBatches(0, ORIGIN, MemoryRecords(bytes(good + bad)))
    assert [batch.count for batch in part.take()] == [3]
    with pytest.raises(CorruptRecordError):
        part.take()


def test_counters_are_kept_for_the_metrics() -> None:
    counted = SimpleNamespace(record=lambda *numbers: counts.append(numbers))
    counts: list[Any] = []
    part = _WholeBatches(0, ORIGIN, MemoryRecords(bytes(fetched(2, 0, 4))), metric_aggregator=counted)
    batches: list[Batch] = part.take()
    assert counts == [(ORIGIN, len(batches[0].body), 4)]
