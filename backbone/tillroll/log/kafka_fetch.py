"""Whole record batches out of kafka-python, which by itself hands out records one by one.

The seam is ``Fetcher.PartitionRecords``, the class that takes a fetch response apart; this is the only module
that touches it. Checksums, control batches, aborted transactions, leader epochs and counters stay as they are.
Proven with kafka-python 3.0.12; with any other version, plain ``poll()`` is used and its records are encoded again.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import kafka
from kafka import KafkaConsumer, codec
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from tillroll.log.encode import encode_records
from tillroll.log.kafka_group import PROVEN, SteadyConsumer
from tillroll.log.port import Batch, TopicPartition

__all__ = ["WholeBatchConsumer", "consumer_class", "poll_batches", "position"]

# Plain poll() counts records, not bytes. Events are some 100 to 200 bytes each.
PLAIN_RECORD_BYTES = 200
MOST_PLAIN_RECORDS = 20_000

_DECODERS = {
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


def consumer_class(whole: bool | None = None) -> Any:
    """The consumer to open: of whole batches, or record by record. whole: None = by the installed version.

    With another version than the proven one it is kafka-python's own, without what kafka_group mends.
    """
    if kafka.__version__ != PROVEN:
        return KafkaConsumer
    return SteadyConsumer if whole is False else WholeBatchConsumer


def poll_batches(consumer: Any, timeout: float, max_bytes: int) -> list[Batch]:
    """What `consumer` has next, within `timeout` seconds, about `max_bytes` of bodies."""
    milliseconds = int(timeout * 1000)
    if isinstance(consumer, WholeBatchConsumer):
        got = consumer.poll(milliseconds, max_records=max(1, max_bytes))
        return list(chain.from_iterable(got.values()))
    most = min(max(1, max_bytes // PLAIN_RECORD_BYTES), MOST_PLAIN_RECORDS)
    got = consumer.poll(milliseconds, max_records=most)
    return [_encoded(TopicPartition(*origin), records) for origin, records in got.items()]


def position(consumer: Any, origin: TopicPartition) -> int:
    """Where `consumer` reads on in an assigned partition: past markers and gaps that were fetched."""
    if isinstance(consumer, WholeBatchConsumer):
        return consumer.position_of(origin)
    return int(consumer.position(kafka.TopicPartition(*origin)))


class _WholeBatches(Fetcher.PartitionRecords):  # type: ignore[misc]
    """A partition's part of a fetch response, as an iterator of Batch."""

    def take(self, n: int | None = None) -> list[Batch]:
        """The next batches, until their bodies hold `n` bytes; at least one if there is one."""
        self._maybe_raise_next_inline_exception()
        taken: list[Batch] = []
        room = sys.maxsize if n is None else n
        try:
            while room > 0 and (batch := next(self.record_iterator, None)) is not None:
                taken.append(batch)
                room -= len(batch.body)
        except Exception as error:
            if not taken:
                raise
            self._next_inline_exception = error  # for the next call, as the parent does
        return taken

    def _maybe_skip_record(self, record: Batch) -> bool:
        return record.next_offset <= int(self.fetch_offset)

    def _unpack_records(
        self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any
    ) -> Iterator[Batch]:
        while (batch := records.next_batch()) is not None:
            self._check(batch)
            if batch.magic < 2:
                if records_left := self._legacy_records(batch):
                    yield self._counted(_encoded(tp, records_left))
                continue
            self.leader_epoch = batch.leader_epoch
            self.next_fetch_offset = batch.next_offset
            if not self._is_hidden(batch) and batch.records_count:
                yield self._counted(_batch(tp, batch, self.fetch_offset))
        self.drain()

    def _check(self, batch: Any) -> None:
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError(f"checksum of the batch at {self.topic_partition} {batch.base_offset}")

    def _is_hidden(self, batch: Any) -> bool:
        """Control batches and aborted transactions; keeps the book of which producers are aborting."""
        if self.isolation_level and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _legacy_records(self, batch: Any) -> list[Any]:
        """Records of the format before Kafka 0.11: with a checksum each, and no offset of the batch to rely on."""
        records = [record for record in batch if record.offset >= self.fetch_offset]
        for record in records:
            if self.check_crcs and not record.validate_crc():
                raise CorruptRecordError(f"checksum of the record at {self.topic_partition} {record.offset}")
        if records:
            self.next_fetch_offset = records[-1].offset + 1
        return records

    def _counted(self, batch: Batch) -> Batch:
        self.records_read += batch.count
        self.bytes_read += len(batch.body)
        return batch


class _WholeBatchFetcher(Fetcher):  # type: ignore[misc]
    """A Fetcher whose ``max_records`` counts bytes of bodies, and which asks for more once nothing is left.

    kafka-python 3.0.12 leaves a partition out of the next request while records of it are not handed out yet, as
    they are for a moment when a response comes in just before. If nothing happens on the others, the broker
    keeps that request for half a second, and until then the partition cannot be asked for.
    """

    PartitionRecords = _WholeBatches
    _next_partition_records: Any

    def fetched_records(self, max_records: int | None = None, update_offsets: bool = True) -> Any:
        """See the parent; mends its stall after pause and resume, where drained records hide the parked ones."""
        if not self._next_partition_records:
            self._next_partition_records = None
        return super().fetched_records(max_records, update_offsets)

    async def _send_fetches_async(self) -> Any:
        """See the parent. Runs on the thread on which responses come in, so none can come in between."""
        if self._completed_fetches or self._next_partition_records:
            return []
        return await super()._send_fetches_async()

    def _append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        held = len(drained.get(part.topic_partition, ()))
        super()._append(drained, part, max_records, update_offsets)
        return sum(len(batch.body) for batch in drained.get(part.topic_partition, ())[held:])


class WholeBatchConsumer(SteadyConsumer):
    """A consumer whose ``poll`` gives Batch instead of records, and whose ``max_records`` counts bytes."""

    def __init__(self, *topics: str, **configs: Any):
        super().__init__(*topics, **configs)
        self._fetcher = _WholeBatchFetcher(
            self._client, self._subscription, metrics=self._metrics, **self.config
        )

    def position_of(self, origin: TopicPartition) -> int:
        """Where an assigned partition is read on, without asking the broker."""
        return int(self._subscription.position(origin).offset)


def _batch(tp: Any, batch: Any, fetch_offset: int) -> Batch:
    """A batch as it came, decompressed."""
    body = memoryview(batch._buffer)[batch._pos :]
    decode = _DECODERS.get(batch.compression_type)
    if batch.compression_type:
        batch._assert_has_codec(batch.compression_type)
    return Batch(
        topic=tp.topic,
        partition=tp.partition,
        base_offset=batch.base_offset,
        next_offset=batch.next_offset,
        count=batch.records_count,
        first_timestamp=batch.first_timestamp,
        append_time=batch.max_timestamp if batch.timestamp_type else None,
        body=decode(body.tobytes()) if decode else body.tobytes(),
        start=fetch_offset if batch.base_offset < fetch_offset else None,
    )


def _encoded(tp: Any, records: Sequence[Any]) -> Batch:
    """Records as a batch of their own: headers are dropped, nothing reads them."""
    first, last = records[0], records[-1]
    time = first.timestamp or 0
    return Batch(
        topic=tp.topic,
        partition=tp.partition,
        base_offset=first.offset,
        next_offset=last.offset + 1,
        count=len(records),
        first_timestamp=time,
        append_time=None,
        body=encode_records(_deltas(records, first.offset, time)),
    )


def _deltas(
    records: Iterable[Any], offset: int, time: int
) -> Iterator[tuple[int, int, bytes | None, bytes | None]]:
    return ((((r.timestamp or 0) - time), r.offset - offset, r.key, r.value) for r in records)
