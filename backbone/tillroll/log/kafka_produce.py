"""Appending to Kafka: an idempotent producer that waits for all replicas, and whole record batches put into it.

kafka-python takes records one by one, tens of microseconds each. The body of a record batch is a block of Avro, so
here one native call makes it (encode), and it is laid into kafka-python's own builder as if its records had been
appended. All the rest stays kafka-python's: sequence numbers, compression, checksum, leaders, retries, new epochs,
halving what is too large for the broker.

The seam: the buffer of ``DefaultRecordBatchBuilder``, the queues of ``RecordAccumulator`` and
``ProducerBatch._record_futures``; this is the only module that touches them. Proven with kafka-python 3.0.12; with
any other version, records go one by one through ``send()``.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import kafka
import polars as pl
from kafka import errors
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from tillroll.errors import TillrollError
from tillroll.log.encode import encode_fresh
from tillroll.log.kafka_client import Connector
from tillroll.log.kafka_group import PROVEN
from tillroll.log.port import Record, TopicPartition

__all__ = ["Appender", "WholeBatch"]

BATCH_BYTES = 960 * 1024  # a full batch stays below the broker's limit of 1 MB even if it does not compress
LARGEST_REQUEST = 16 * 1024 * 1024
LINGER_MILLISECONDS = (
    1_000  # batches fill up while append hands records over; its flush sends the last one at once
)

FEWEST_FOR_BATCHES = 400  # below it records go one by one, and those of several threads share a batch
MOST_UNDER_WAY = (
    8  # batches of a partition that wait to be acknowledged; the timeout is for each, not for all
)
RECORD_BYTES = 15  # what lengths, deltas and counts of a record take beside key and value, in less than 1 MB

GRACE_SECONDS = (
    2.0  # the producer gives up by itself after the timeout; this is how long it may take to say so
)

_WRITING = {
    "enable_idempotence": True,
    "acks": "all",
    "compression_type": "zstd",
    "batch_size": BATCH_BYTES,
    "max_request_size": LARGEST_REQUEST,
    "linger_ms": LINGER_MILLISECONDS,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}


class Appender:
    """Appends records to partitions of one cluster. Safe to share between threads; connects with the first call.

    timeout: seconds until what is not acknowledged is given up. whole: None = if kafka-python is the version that
    whole batches were proven with.
    """

    def __init__(self, connector: Connector, timeout: float, whole: bool | None = None):
        self._connector, self._timeout = connector, timeout
        self._whole = kafka.__version__ == PROVEN if whole is None else whole
        self._opening = threading.Lock()
        self._producer: Any = None

    def append(self, appends: Mapping[TopicPartition, Sequence[Record]]) -> dict[TopicPartition, list[int]]:
        """The offsets of the records, durable by now, in the order given. Raises what Connector.translating does."""
        producer = self._open()
        try:
            with self._connector.translating():
                sent = {origin: self._send(producer, origin, records) for origin, records in appends.items()}
                _flush(producer, self._deadline())
                return {origin: _known(offsets()) for origin, offsets in sent.items()}
        except TillrollError:
            self._drop(producer)
            raise

    def close(self) -> None:
        """Let go of the producer; what other threads still append is sent first."""
        with self._opening:
            producer, self._producer = self._producer, None
        if producer is not None:
            _close(producer, self._timeout)

    def _send(
        self, producer: Any, origin: TopicPartition, records: Sequence[Record]
    ) -> Callable[[], list[int]]:
        """Hand records over to be sent; gives what says where they are, to be asked after a flush."""
        if self._whole and len(records) >= FEWEST_FOR_BATCHES:
            producer.partitions_for(origin.topic)  # as send() does: knows who leads, or raises
            if parts := _parts(records, producer.config["batch_size"]):
                return self._by_batch(producer, origin, parts)
        futures = [producer.send(origin.topic, r.value, r.key, partition=origin.partition) for r in records]
        return lambda: [future.get(GRACE_SECONDS).offset for future in futures]

    def _by_batch(
        self, producer: Any, origin: TopicPartition, parts: Iterable[pl.DataFrame]
    ) -> Callable[[], list[int]]:
        offsets: list[int] = []
        under_way: deque[WholeBatch] = deque()
        with _flushing(producer._accumulator):
            for part in parts:
                if len(under_way) == MOST_UNDER_WAY:
                    offsets += under_way.popleft().offsets(self._deadline())
                under_way.append(_enqueued(producer, origin, part))
        return lambda: [
            *offsets,
            *(offset for batch in under_way for offset in batch.offsets(self._deadline())),
        ]

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout + GRACE_SECONDS

    def _open(self) -> Any:
        with self._opening:
            if self._producer is None:
                limit = int(self._timeout * 1000)
                waiting = {"max_block_ms": limit, "delivery_timeout_ms": limit}
                self._producer = self._connector.open(kafka.KafkaProducer, **_WRITING, **waiting)
            return self._producer

    def _drop(self, producer: Any) -> None:
        """After a failure a fresh one: what the old one still holds is given up, and its numbering with it."""
        with self._opening:
            if self._producer is producer:
                self._producer = None
        _close(producer, GRACE_SECONDS)


class WholeBatch(ProducerBatch):  # type: ignore[misc]
    """A batch of kafka-python's producer that is full from the start.

    body: `count` records in Kafka's layout, offsets 0, 1, 2, ..., time deltas 0; stamped `now` (milliseconds since
    the epoch). compression: number of the codec (4 = zstd). It has one future, not one per record, until it is halved.
    """

    def __init__(self, origin: TopicPartition, body: bytes, count: int, compression: int, now: int):
        super().__init__(kafka.TopicPartition(*origin), _filled(body, count, compression, now))
        del self._record_futures  # the parent's empty list, in favour of those below

    @cached_property
    def _record_futures(self) -> list[Any]:
        """What kafka-python asks for when it halves a batch: a future per record, which it moves on to the halves."""
        unread = (None, None, -1, -1, -1)  # time, checksum and sizes
        return [FutureRecordMetadata(self.produce_future, n, *unread) for n in range(self.record_count)]

    def offsets(self, deadline: float) -> Iterable[int]:
        """Where its records are, durable by now; -1 where the broker cannot say.

        Raises kafka-python's error if they were refused or nothing is known at `deadline` (of time.monotonic).
        """
        if not self.produce_future.wait(_left(deadline)):
            raise errors.KafkaTimeoutError(f"{self.record_count} records are not acknowledged")
        if not self.produce_future.is_done:
            return [_offset(future, deadline) for future in self._record_futures]
        base, _, refusal = self.produce_future.value
        if refusal is not None:
            raise refusal(0)
        return range(base, base + self.record_count)


def _parts(records: Sequence[Record], most: int) -> Iterator[pl.DataFrame] | None:
    """Frames of key, value in the order of `records`, about `most` bytes each; None if a record alone has more."""
    rows = pl.DataFrame(
        {"key": [r.key for r in records], "value": [r.value for r in records]},
        schema={"key": pl.Binary(), "value": pl.Binary()},
    )
    key, value = (pl.col(name).bin.size().cast(pl.Int64) for name in ("key", "value"))
    sizes = rows.select(RECORD_BYTES + key + value).to_series()
    return None if (sizes > most).any() else _cut(rows, sizes.cum_sum(), most)


def _cut(rows: pl.DataFrame, ends: pl.Series, most: int) -> Iterator[pl.DataFrame]:
    start, taken = 0, 0
    while start < len(rows):
        stop = int(ends.search_sorted(taken + most, side="right"))
        yield rows[start:stop]
        start, taken = stop, ends[stop - 1]


def _enqueued(producer: Any, origin: TopicPartition, rows: pl.DataFrame) -> WholeBatch:
    """A batch of `rows`, handed to the thread that sends."""
    compression = producer.config["compression_attrs"]
    batch = WholeBatch(origin, encode_fresh(rows), len(rows), compression, int(time.time() * 1000))
    _enqueue(producer._accumulator, batch)
    producer._sender.wakeup()
    return batch


def _enqueue(accumulator: Any, batch: WholeBatch) -> None:
    """What ``RecordAccumulator.append`` does with a batch that it has made."""
    accumulator._appends_in_progress.increment()
    try:
        with accumulator._tp_lock(batch.topic_partition):
            if accumulator._closed:
                raise errors.IllegalStateError("the producer is closed")
            accumulator._batches[batch.topic_partition].append(batch)
            accumulator._incomplete.add(batch)
    finally:
        accumulator._appends_in_progress.decrement()


@contextmanager
def _flushing(accumulator: Any) -> Iterator[None]:
    """Whole batches are sent at once anyway; the halves of one are not full and would linger."""
    accumulator.begin_flush()
    try:
        yield
    finally:
        accumulator._flushes_in_progress.decrement()


def _filled(body: bytes, count: int, compression: int, now: int) -> Any:
    """kafka-python's builder as it is after `count` appends at the time `now`; its size of 0 lets nothing more in."""
    records = MemoryRecordsBuilder(magic=2, compression_type=compression, batch_size=0)
    inner = records._builder
    inner._buffer += body
    inner._first_timestamp = inner._max_timestamp = now
    inner._num_records, inner._last_offset = count, count - 1
    records._next_offset = count
    return records


def _flush(producer: Any, deadline: float) -> None:
    """Wait for what was sent, also for halves of a batch, of which kafka-python 3.0.12 says that it lost the future."""
    while True:
        try:
            producer.flush(_left(deadline))
        except errors.UnknownError:
            if not _left(deadline):
                raise
        else:
            return


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _offset(future: Any, deadline: float) -> int:
    return int(future.get(_left(deadline)).offset)


def _known(offsets: list[int]) -> list[int]:
    """`offsets`, all of them known: a retry that the broker remembers only dimly is acknowledged without."""
    if min(offsets, default=0) < 0:
        raise errors.DuplicateSequenceNumberError("the records are in the log, but not where")
    return offsets


def _close(producer: Any, timeout: float) -> None:
    """Close it even if what it holds cannot be sent, where kafka-python 3.0.12 would leave its threads running."""
    try:
        producer.close(timeout=timeout)
    except errors.KafkaError:
        producer._sender.force_close()
        producer._sender.join(timeout)
        producer.close(timeout=timeout)
