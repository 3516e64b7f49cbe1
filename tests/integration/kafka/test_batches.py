"""What other producers write, read by whole batches and record by record: the same, and what they wrote."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tillroll.log.kafka import KafkaLog
from tillroll.log.port import Batch, TopicPartition
from tillroll.log.records import read_records
from tillroll.testing.log_contract import LogContract, Member, record, until

pytestmark = pytest.mark.kafka

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]

MakeTopic = Callable[..., TopicPartition]
MakeProducer = Callable[..., Any]
Row = tuple[int, bytes | None, bytes | None]


def batches(log: KafkaLog, origin: TopicPartition, offset: int = 0, size: int = 1_000_000) -> Iterator[Batch]:
    """Everything from `offset` to the end; ends only if positions get past what leaves no record."""
    while got := log.read(origin, offset, size):
        assert got[-1].next_offset > offset
        offset = got[-1].next_offset
        yield from got
    assert offset == log.end_offset(origin)


def rows(log: KafkaLog, origin: TopicPartition, offset: int = 0, size: int = 1_000_000) -> list[Any]:
    """(offset, time, key, value) of everything from `offset` on."""
    read = list(batches(log, origin, offset, size))
    return read_records(read).select("_offset", "_recorded_at", "key", "value").rows()


def offsets(log: KafkaLog, origin: TopicPartition, offset: int = 0) -> list[int]:
    return [row[0] for row in rows(log, origin, offset)]


def wait_for_end(log: KafkaLog, origin: TopicPartition, end: int) -> None:
    """The marker that ends a transaction is written after the producer was told that it is decided."""
    deadline = time.monotonic() + 30
    while log.end_offset(origin) != end:
        assert time.monotonic() < deadline, f"the end is {log.end_offset(origin)}, not {end}"
        time.sleep(0.02)


@pytest.mark.parametrize("codec", CODECS)
def test_every_compression_is_read(
    log: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer, codec: str | None
) -> None:
    origin = make_topic()
    producer = make_producer(compression_type=codec, batch_size=100_000)
    sent = [(f"key {n % 9}".encode(), f"value {n} ".encode() * (n % 40)) for n in range(3_000)]
    for key, value in sent:
        producer.send(origin.topic, value, key)
    producer.flush()
    assert [row[2:] for row in rows(log, origin)] == sent
    assert all(batch.count > 10 for batch in batches(log, origin))


class _Writer:
    """Writes random batches of every kind to one partition, and remembers what readers may see of them."""

    def __init__(self, origin: TopicPartition, make_producer: MakeProducer, seed: int):
        self.seen: list[Row] = []
        self.end = 0
        self._random, self._origin = random.Random(seed), origin
        self._plain = [make_producer(compression_type=codec) for codec in CODECS]
        self._transactional = [
            make_producer(compression_type=codec, transactional_id=f"t-{uuid.uuid4()}")
            for codec in ("zstd", None)
        ]

    def write(self, size: int) -> None:
        """`size` batches, or transactions of up to four of them."""
        for _ in range(size):
            if self._random.random() < 0.3:
                self._write_transaction(self._random.choice(self._transactional))
            else:
                self.seen += self._write_batch(self._random.choice(self._plain))

    def _write_transaction(self, producer: Any) -> None:
        producer.begin_transaction()
        self.end += 1  # the marker
        written = [row for _ in range(self._random.randint(1, 4)) for row in self._write_batch(producer)]
        if self._random.random() < 0.5:
            producer.commit_transaction()
            self.seen += written
        else:
            producer.abort_transaction()

    def _write_batch(self, producer: Any) -> list[Row]:
        with_headers = self._random.random() < 0.2
        sent = []
        for _ in range(self._random.choice([1, 1, 2, 5, 60])):
            key, value = self._bytes(), self._bytes()
            if key is None and value is None:
                value = b""
            headers = (
                [("name", self._random.randbytes(3))] * self._random.randint(0, 2) if with_headers else []
            )
            time = 1_700_000_000_000 + self._random.randint(-(10**9), 10**9)
            future = producer.send(self._origin.topic, value, key, headers, 0, time)
            sent.append((future, key, value))
        producer.flush()
        self.end += len(sent)
        return [(future.get().offset, key, value) for future, key, value in sent]

    def _bytes(self) -> bytes | None:
        kind = self._random.random()
        if kind < 0.1:
            return None
        return self._random.randbytes(self._random.choice([0, 1, 8, 40, 130]))


@pytest.mark.parametrize("time_type", ["CreateTime", "LogAppendTime"])
def test_whole_batches_read_as_records_do(
    log: KafkaLog, by_record: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer, time_type: str
) -> None:
    origin = make_topic(message_timestamp_type=time_type, message_timestamp_after_max_ms="9" * 18)
    writer = _Writer(origin, make_producer, seed=len(time_type))
    writer.write(150)
    wait_for_end(log, origin, writer.end)
    expected = rows(by_record, origin)
    assert [(row[0], row[2], row[3]) for row in expected] == writer.seen
    assert rows(log, origin) == expected
    steps = random.Random(7)
    for _ in range(30):
        offset, size = steps.randrange(expected[-1][0] + 1), steps.choice([1, 300, 5_000, 10**6])
        assert rows(log, origin, offset, size) == [row for row in expected if row[0] >= offset]


def test_compacted_records_leave_gaps_that_are_passed(
    log: KafkaLog, by_record: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer
) -> None:
    origin = make_topic(
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.01",
        segment_ms="100",
        min_compaction_lag_ms="0",
        max_compaction_lag_ms="1000",
    )
    producer = make_producer(compression_type="zstd")
    for turn in range(8):
        for n in range(20):
            producer.send(origin.topic, f"{turn}".encode(), f"{n % (3 + turn)}".encode())
        producer.flush()
        time.sleep(0.15)  # the next batch begins a new segment: only closed ones are compacted
    deadline = time.monotonic() + 60
    while len(expected := rows(by_record, origin)) > 100:
        assert time.monotonic() < deadline, "nothing is compacted"
        time.sleep(0.3)
        producer.send(origin.topic, b"rolls the segment", b"last")
        producer.flush()
    for offset in range(0, 161, 9):
        read = rows(log, origin, offset)
        assert [row[2:] for row in read] == [row[2:] for row in rows(by_record, origin, offset)]
    assert len(expected) < log.end_offset(origin)


def test_an_aborted_transaction_is_never_seen_and_passed(
    log: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer
) -> None:
    origin = make_topic()
    producer = make_producer(transactional_id=f"t-{uuid.uuid4()}")
    producer.begin_transaction()
    for n in range(10):
        producer.send(origin.topic, f"{n}".encode(), b"key")
    producer.flush()
    assert log.end_offset(origin) == 0
    assert log.read(origin, 0) == []
    producer.abort_transaction()
    wait_for_end(log, origin, 11)
    read = list(batches(log, origin))
    assert sum(batch.count for batch in read) == 0
    assert len(read_records(read)) == 0


@pytest.mark.parametrize("whole", [True, False])
def test_members_get_past_markers_at_the_end(
    kafka_address: str, make_topic: MakeTopic, make_producer: MakeProducer, whole: bool
) -> None:
    log = KafkaLog(kafka_address, whole_batches=whole)
    origin = make_topic()
    producer = make_producer(transactional_id=f"t-{uuid.uuid4()}")
    member = Member(log, [origin.topic], f"group-{uuid.uuid4()}")
    try:
        for n, finish in enumerate([producer.commit_transaction, producer.abort_transaction] * 2):
            producer.begin_transaction()
            producer.send(origin.topic, f"{n}".encode(), b"key").get()
            finish()
            end = 2 * n + 2
            wait_for_end(log, origin, end)
            until(lambda end=end: member.starts.get(origin) == end, [member], f"the end {end}")  # type: ignore[misc]
        assert [row[0] for _, row in member.rows] == [0, 4]
    finally:
        member.subscription.close()
        log.close()


def test_an_open_transaction_holds_readers_back(
    log: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer
) -> None:
    origin = make_topic()
    producer = make_producer(transactional_id=f"t-{uuid.uuid4()}")
    log.append(origin.topic, 0, [record("before")])
    producer.begin_transaction()
    producer.send(origin.topic, b"open", b"key").get()
    log.append(origin.topic, 0, [record("after")])
    assert log.end_offset(origin) == 1
    assert offsets(log, origin) == [0]
    producer.commit_transaction()
    wait_for_end(log, origin, 4)
    assert offsets(log, origin) == [0, 1, 2]


def test_a_poll_is_bounded_by_bytes(
    log: KafkaLog, make_topic: MakeTopic, make_producer: MakeProducer
) -> None:
    origin = make_topic()
    producer = make_producer(compression_type="zstd", batch_size=20_000)
    for n in range(4_000):
        producer.send(origin.topic, f"{n} ".encode() * 20, b"key")
    producer.flush()
    largest = max(len(batch.body) for batch in batches(log, origin))
    for size in (1, 50_000, 200_000):
        got = log.read(origin, 0, size)
        assert sum(len(batch.body) for batch in got[:-1]) < size
        assert sum(len(batch.body) for batch in got) < size + largest
    assert offsets(log, origin) == list(range(4_000))


def test_what_comes_in_between_two_requests_leaves_no_partition_out_of_the_next(log: KafkaLog) -> None:
    """A response that comes in after what was there is handed out, and before more is asked for.

    Else the next request is for the other partitions only, and the broker keeps it while nothing happens there.
    """
    topic = LogContract().new_topic(log, 3)
    member = Member(log, [topic], "group")
    log.append(topic, 1, [record("before")])
    until(lambda: len(member.rows) == 1, [member], "what was there before")
    fetcher = member.subscription._consumer._fetcher  # type: ignore[attr-defined]
    asked: list[int] = []
    under_way = fetcher._nodes_with_pending_fetch_requests
    fetch, hand_out, ask = fetcher.fetch_records, fetcher.fetched_records, fetcher._create_fetch_requests

    def fetch_with_a_late_response(*args: Any, **named: Any) -> Any:
        fetcher.fetched_records = hand_out_and_wait
        return fetch(*args, **named)

    def hand_out_and_wait(*args: Any, **named: Any) -> Any:
        fetcher.fetched_records = hand_out
        found = hand_out(*args, **named)
        if under_way and len(member.rows) == 1:
            log.append(topic, 0, [record("in between")])
            deadline = time.monotonic() + 30
            while under_way and not fetcher._completed_fetches:
                assert time.monotonic() < deadline, "no response came"
        return found

    def ask_and_tell() -> Any:
        requests = ask()
        asked.extend(len(offsets) for _, offsets in requests.values())
        return requests

    fetcher.fetch_records, fetcher._create_fetch_requests = fetch_with_a_late_response, ask_and_tell
    until(lambda: len(member.rows) > 1, [member], "what came in between")
    member.poll()
    assert asked
    assert set(asked) == {3}
    member.subscription.close()
