"""Whole batches into Kafka: what stands there afterwards is what record by record leaves."""

import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kafka
import pytest

from tillroll.errors import LogUnavailable, MalformedEvent, TopicMissing
from tillroll.log import kafka_produce
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import Record, TopicPartition
from tillroll.testing.log_contract import numbered, read_all, record, topic_spec

MakeTopic = Callable[..., TopicPartition]

pytestmark = pytest.mark.kafka

MANY = 3 * kafka_produce.FEWEST_FOR_BATCHES


@pytest.fixture(params=["whole", "by record"])
def either(request: pytest.FixtureRequest, log: KafkaLog, by_record: KafkaLog) -> KafkaLog:
    """The log that appends one way, and the other."""
    return log if request.param == "whole" else by_record


@pytest.fixture
def impatient(kafka_address: str) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_address, timeout=3)
    yield log
    log.close()


def noise(seed: int, count: int, size: int) -> list[Record]:
    """Records that no codec makes smaller."""
    source = random.Random(seed)
    return [record(source.randbytes(size), source.randbytes(8)) for _ in range(count)]


def as_consumed(address: str, origin: TopicPartition, count: int) -> list[tuple[Any, ...]]:
    """What kafka-python's own consumer reads, without the time itself."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", check_crcs=True)
    try:
        consumer.assign([kafka.TopicPartition(*origin)])
        rows = [next(consumer) for _ in range(count)]
        assert consumer.end_offsets([kafka.TopicPartition(*origin)]) == {kafka.TopicPartition(*origin): count}
    finally:
        consumer.close()
    return [(r.partition, r.offset, r.timestamp_type, r.key, r.value, r.headers) for r in rows]


@pytest.mark.parametrize("time_type", ["CreateTime", "LogAppendTime"])
def test_any_consumer_reads_the_same_from_both_ways(
    kafka_address: str, log: KafkaLog, by_record: KafkaLog, make_topic: MakeTopic, time_type: str
) -> None:
    records = [record(f"{n} " * (n % 90), f"key {n % 7}".encode()) for n in range(20_000)]
    seen = []
    for way in (log, by_record):
        origin = make_topic(message_timestamp_type=time_type)
        answers = way.append(origin.topic, 0, records)
        assert [answer.position.offset for answer in answers] == list(range(len(records)))
        seen.append(as_consumed(kafka_address, origin, len(records)))
    assert seen[0] == seen[1]
    assert [row[3:5] for row in seen[0]] == [(r.key, r.value) for r in records]


def test_whole_batches_are_few_and_full(log: KafkaLog, make_topic: MakeTopic) -> None:
    origin = make_topic()
    log.append(origin.topic, 0, [record(f"{n:0100}") for n in range(30_000)])
    sizes = [len(batch.body) for batch in log.read(origin, 0, 10**8)]
    assert len(sizes) == 4
    assert all(0.9 * kafka_produce.BATCH_BYTES < size <= kafka_produce.BATCH_BYTES for size in sizes[:-1])


def test_an_append_of_very_many_batches_keeps_its_order(
    log: KafkaLog, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kafka_produce._WRITING, "batch_size", 20_000)
    origin, records = make_topic(), noise(5, 20_000, 20)
    answers = log.append(origin.topic, 0, records)
    assert [answer.position.offset for answer in answers] == list(range(len(records)))
    assert [row[1:] for row in read_all(log, origin)] == [(r.key, r.value) for r in records]
    sizes = [len(batch.body) for batch in log.read(origin, 0, 10**8)]
    assert len(sizes) > 4 * kafka_produce.MOST_UNDER_WAY
    assert max(sizes) <= 20_000


def test_records_do_not_wait_for_a_batch_to_fill(
    kafka_address: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would wait for longer than anybody does for an answer."""
    monkeypatch.setitem(kafka_produce._WRITING, "linger_ms", 60_000)
    log = KafkaLog(kafka_address, timeout=120)
    appends = {make_topic(): numbered(3), make_topic(): numbered(MANY), make_topic(): numbered(1)}
    answers = log.append_all(appends)
    for origin, records in appends.items():
        assert [answer.position.offset for answer in answers[origin]] == list(range(len(records)))
        assert [row[2] for row in read_all(log, origin)] == [r.value for r in records]
    log.close()


def test_small_and_large_appends_of_many_threads_lose_and_mix_nothing(
    log: KafkaLog, make_topic: MakeTopic
) -> None:
    origin = make_topic()
    batches = [noise(n, (MANY, 3, 12_000)[n % 3], 60) for n in range(30)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda records: log.append(origin.topic, 0, records), batches))
    held = {row[0]: row[1:] for row in read_all(log, origin)}
    assert sorted(held) == list(range(sum(map(len, batches))))
    for records, given in zip(batches, answers, strict=True):
        offsets = [answer.position.offset for answer in given]
        assert offsets == sorted(offsets)
        assert [held[offset] for offset in offsets] == [(r.key, r.value) for r in records]


def test_what_is_too_large_for_the_topic_goes_in_pieces(either: KafkaLog, make_topic: MakeTopic) -> None:
    origin = make_topic(max_message_bytes="20000")
    records = noise(1, MANY, 100)
    answers = either.append(origin.topic, 0, records)
    assert [answer.position.offset for answer in answers] == list(range(MANY))
    assert [row[1:] for row in read_all(either, origin)] == [(r.key, r.value) for r in records]
    assert either.append(origin.topic, 0, records)[0].position.offset == MANY


def test_one_record_too_large_among_many_is_refused(either: KafkaLog, make_topic: MakeTopic) -> None:
    origin = make_topic(max_message_bytes="20000")
    with pytest.raises(MalformedEvent, match=r"max\.message\.bytes"):
        either.append(origin.topic, 0, [*noise(2, MANY, 100), *noise(3, 1, 30_000)])
    before = either.end_offset(origin)
    assert either.append(origin.topic, 0, numbered(MANY))[-1].position.offset == before + MANY - 1


def test_a_record_larger_than_a_batch_goes_with_the_others(log: KafkaLog, make_topic: MakeTopic) -> None:
    origin = make_topic(max_message_bytes="4000000")
    records = [*numbered(MANY), *noise(4, 1, 2_000_000), *numbered(MANY)]
    log.append(origin.topic, 0, records)
    assert [row[2] for row in read_all(log, origin)] == [r.value for r in records]


def test_a_topic_that_is_gone_is_said_to_be_missing(
    impatient: KafkaLog, make_topic: MakeTopic, admin: Any
) -> None:
    gone, never = make_topic(), f"never-{uuid.uuid4().hex[:8]}"
    impatient.append(gone.topic, 0, numbered(MANY))
    admin.delete_topics([gone.topic])
    with pytest.raises(TopicMissing):
        impatient.append(never, 0, numbered(MANY))
    with pytest.raises((TopicMissing, LogUnavailable)):
        impatient.append(gone.topic, 0, numbered(MANY))


def test_another_version_of_the_client_is_given_record_by_record(
    kafka_address: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "__version__", "3.9.9")
    monkeypatch.setattr(kafka_produce, "_enqueue", None)  # nothing may come here
    origin, log = make_topic(), KafkaLog(kafka_address)
    try:
        assert len(log.append(origin.topic, 0, numbered(MANY))) == MANY
    finally:
        log.close()


def test_a_partition_that_grew_is_appended_to(log: KafkaLog, admin: Any) -> None:
    name = f"grown-{uuid.uuid4().hex[:8]}"
    log.create_topics([topic_spec(name, 1)])
    log.append(name, 0, numbered(MANY))
    admin.create_partitions({name: 3})
    assert log.append(name, 2, numbered(MANY))[-1].position.offset == MANY - 1
