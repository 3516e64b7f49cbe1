"""The log on Kafka, through kafka-python.

Batches are read whole (kafka_fetch), written by an idempotent producer that waits for all replicas, and read
committed: what other producers abort is never seen. Where a group member stands is not Kafka's business but the
read model's, so Kafka's committed offsets are not used.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import Any

import kafka
from kafka import errors

from tillroll.contract.registry import TopicSpec
from tillroll.errors import LogUnavailable, PositionOutOfRange, TopicMissing
from tillroll.log.group import POLL_BYTES
from tillroll.log.kafka_assignor import ShareAssignor
from tillroll.log.kafka_client import RETRY_SECONDS, Connector
from tillroll.log.kafka_fetch import consumer_class, poll_batches, position
from tillroll.log.kafka_produce import Appender
from tillroll.log.kafka_watch import ANSWER_MILLISECONDS, Watch, last_heartbeat
from tillroll.log.port import (
    Appended,
    Batch,
    OnAssigned,
    OnRevoked,
    Position,
    Positions,
    Record,
    Subscription,
    TopicPartition,
)

__all__ = ["KafkaLog"]

TIMEOUT = 30.0

# Fetches of some megabytes keep the broker busy ahead of the decoder; compressed, a poll is a quarter of its bodies.
FETCH_BYTES = 32 * 1024 * 1024
PARTITION_FETCH_BYTES = 4 * 1024 * 1024

# A member that is gone is noticed after this time, one that joins after a heartbeat.
SESSION_MILLISECONDS = 10_000
HEARTBEAT_MILLISECONDS = 1_000
# Until the first look at whether partitions were assigned, which kafka-python does not wake us for; doubled with
# every look: who joins waits for little, and who gets none is idle.
JOINING_SECONDS, LONGEST_LOOK = 0.01, 0.1
LEAVING_MILLISECONDS = 3_000  # a broker that is down cannot be told; the session ends by itself

_READING = {
    "isolation_level": "read_committed",
    "auto_offset_reset": "none",
    "enable_auto_commit": False,
    "allow_auto_create_topics": False,
    "fetch_max_bytes": FETCH_BYTES,
    "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
    "metrics_enabled": False,
}
# A request for what is not there yet would keep the questions about offsets waiting behind it.
_AT_ONCE = {"fetch_max_wait_ms": 0}


class KafkaLog:
    """An EventLog on a Kafka cluster, 2.1 or newer. Safe to share between threads.

    address: host:port, several with commas. timeout: seconds after which a call that gets no answer raises
    LogUnavailable. whole_batches: None = if kafka-python is the version that this was proven with. options: given
    to kafka-python's clients (security_protocol, sasl_mechanism, ...). Connects with the first call.
    """

    settles_duplicates = False

    def __init__(
        self, address: str, *, timeout: float = TIMEOUT, whole_batches: bool | None = None, **options: Any
    ):
        self._connector = Connector(address, timeout, options)
        self._timeout, self._whole = timeout, whole_batches
        self._opening = threading.RLock()
        self._reading = threading.RLock()
        self._admin: Any = None
        self._appender = Appender(self._connector, timeout, whole_batches)
        self._reader: _Reader | None = None
        self._identity: str | None = None
        self._counts: dict[str, int] = {}
        self._ends: dict[TopicPartition, int] = {}

    @property
    def identity(self) -> str:
        """``kafka:<cluster id>``, drawn when the cluster was made."""
        if self._identity is None:
            cluster = self._connector.retrying(lambda: self._open_admin().describe_cluster())
            self._identity = f"kafka:{cluster['cluster_id']}"
        return self._identity

    # --- topics -------------------------------------------------------------------------------------

    def create_topics(self, topics: Iterable[TopicSpec]) -> None:
        """See EventLog.create_topics."""
        wanted = {spec.name: _settings(spec) for spec in topics if not self._count(spec.name)}
        if not wanted:
            return
        admin = self._open_admin()
        with self._connector.translating():
            with suppress(errors.TopicAlreadyExistsError):  # another process was faster
                admin.create_topics(wanted)
            admin.wait_for_topics(list(wanted), timeout_ms=int(self._timeout * 1000))

    def partitions(self, topic: str) -> int:
        """See EventLog.partitions."""
        count = self._count(topic)
        if not count:
            raise TopicMissing(
                f"Kafka at {self._connector.address} has no topic {topic!r}; "
                "`tillroll publish` and imports make the contract's"
            )
        return count

    def _count(self, topic: str) -> int:
        """How many partitions `topic` has; 0 if it is not there. Kept for the checks of every append and read."""
        self._counts[topic] = count = self._connector.retrying(lambda: self._describe(topic))
        return count

    def _describe(self, topic: str) -> int:
        (found,) = self._open_admin().describe_topics([topic])
        refusal = errors.for_code(found["error_code"])
        if refusal in (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError):
            return 0
        if refusal is not errors.NoError:
            raise refusal(topic)
        return len(found["partitions"])

    def _check(self, origin: TopicPartition) -> None:
        count = self._counts.get(origin.topic) or self.partitions(origin.topic)
        if origin.partition >= count:
            count = self.partitions(origin.topic)  # it may have grown
        if not 0 <= origin.partition < count:
            raise TopicMissing(
                f"topic {origin.topic!r} has partitions 0..{count - 1}, not {origin.partition}"
            )

    # --- writing ------------------------------------------------------------------------------------

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> list[Appended]:
        """See EventLog.append. The same event twice is there twice: admission settles that."""
        origin = TopicPartition(topic, partition)
        return self.append_all({origin: records})[origin]

    def append_all(
        self, appends: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, list[Appended]]:
        """See EventLog.append_all and append."""
        for origin in appends:
            self._check(origin)
        return {
            origin: [Appended(Position(*origin, offset)) for offset in offsets]
            for origin, offsets in self._appender.append(appends).items()
        }

    # --- reading ------------------------------------------------------------------------------------

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        """See EventLog.read. A batch may hold no record: it takes the reader past markers and aborted ones."""
        with self._reading:
            # An end that was seen has moved on since, or events are lost: then nothing comes, and it is asked for again.
            if not 0 <= offset < self._ends.get(origin, 0):
                end = self.end_offset(origin)
                if not 0 <= offset <= end:
                    raise self._out_of_range(origin, offset)
                if offset == end:
                    return []
            reader = self._open_reader()
            with self._connector.translating():
                try:
                    reader.place(origin, offset)
                    return reader.poll_until(self._timeout, max_bytes)
                except errors.OffsetOutOfRangeError:
                    raise self._out_of_range(origin, offset) from None
                except errors.KafkaTimeoutError:
                    if self.end_offset(origin) == offset:
                        return []
                    raise

    def start_offset(self, origin: TopicPartition) -> int:
        """See EventLog.start_offset."""
        return self.start_offsets([origin])[origin]

    def end_offset(self, origin: TopicPartition) -> int:
        """See EventLog.end_offset."""
        return self.end_offsets([origin])[origin]

    def start_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.start_offsets."""
        return self._ask(origins, "beginning_offsets")

    def end_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.end_offsets."""
        ends = self._ask(origins, "end_offsets")
        self._ends |= ends
        return ends

    def offset_at(self, origin: TopicPartition, time: datetime) -> int:
        """See EventLog.offset_at."""
        self._check(origin)
        wanted = {kafka.TopicPartition(*origin): max(0, ceil(time.timestamp() * 1000))}
        with self._reading, self._connector.translating():
            (found,) = self._open_reader().consumer.offsets_for_times(wanted).values()
            return self.end_offset(origin) if found is None else int(found.offset)

    def _ask(self, origins: Iterable[TopicPartition], question: str) -> dict[TopicPartition, int]:
        wanted = list(origins)
        for origin in wanted:
            self._check(origin)
        if not wanted:
            return {}
        with self._reading, self._connector.translating():
            ask = getattr(self._open_reader().consumer, question)
            answers = self._patiently(lambda: ask([kafka.TopicPartition(*origin) for origin in wanted]))
        return {TopicPartition(*place): int(answer) for place, answer in answers.items()}

    def _patiently(self, ask: Callable[[], dict[Any, int]]) -> dict[Any, int]:
        """The answer to `ask` as soon as it is whole: kafka-python 3.0.12 trips over partitions whose leader it does not
        know yet, where it knows that of others."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return ask()
            except KeyError as error:
                if time.monotonic() > deadline:
                    raise errors.LeaderNotAvailableError(error.args[0]) from None
                time.sleep(RETRY_SECONDS)

    def _out_of_range(self, origin: TopicPartition, offset: int) -> PositionOutOfRange:
        start, end = self.start_offset(origin), self.end_offset(origin)
        return PositionOutOfRange(
            f"{origin.topic}/{origin.partition}: Kafka at {self._connector.address} holds offsets {start} to {end}, "
            f"not {offset}; what is missing may be in the archive or a backup"
        )

    def subscribe(
        self, topics: Sequence[str], group: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """See EventLog.subscribe."""
        for topic in topics:
            self.partitions(topic)
        consumer = self._connector.open(
            consumer_class(self._whole),
            group_id=group,
            partition_assignment_strategy=[ShareAssignor],
            session_timeout_ms=SESSION_MILLISECONDS,
            heartbeat_interval_ms=HEARTBEAT_MILLISECONDS,
            **_READING,
        )
        return _Member(self, consumer, topics, on_assigned, on_revoked)

    # --- clients ------------------------------------------------------------------------------------

    def close(self) -> None:
        """See EventLog.close. Subscriptions are closed by those who hold them."""
        with self._opening:
            admin, self._admin = self._admin, None
            reader, self._reader = self._reader, None
        self._appender.close()
        if reader is not None:
            reader.consumer.close(autocommit=False)
        if admin is not None:
            admin.close()

    def _open_admin(self) -> Any:
        with self._opening:
            if self._admin is None:
                self._admin = self._connector.open(kafka.KafkaAdminClient)
            return self._admin

    def _open_reader(self) -> "_Reader":
        with self._opening:
            if self._reader is None:
                self._reader = _Reader(
                    self._connector.open(consumer_class(self._whole), **_READING, **_AT_ONCE)
                )
            return self._reader


class _Reader:
    """A consumer, and how far each of its partitions was read.

    What leaves no record, transaction markers and what was aborted or compacted away, moves a position too:
    it extends the last batch, or makes one without records.
    """

    def __init__(self, consumer: Any):
        self.consumer = consumer
        self.reached: dict[TopicPartition, int] = {}
        self.lost: set[TopicPartition] = set()  # held no more, whatever `reached` says

    def place(self, origin: TopicPartition, offset: int) -> None:
        """Read this partition alone, from `offset` on."""
        if origin not in self.reached:
            self.consumer.assign([kafka.TopicPartition(*origin)])
            self.reached.clear()
        if self.reached.get(origin) != offset:
            self.seek(origin, offset)

    def seek(self, origin: TopicPartition, offset: int) -> None:
        """Go on at `offset` in an assigned partition."""
        self.consumer.seek(kafka.TopicPartition(*origin), offset)
        self.reached[origin] = offset

    def poll(self, timeout: float, max_bytes: int) -> list[Batch]:
        """What comes within `timeout` seconds."""
        batches = poll_batches(self.consumer, timeout, max_bytes)
        last = {batch.origin: n for n, batch in enumerate(batches)}
        for origin in self.reached.keys() - self.lost:
            before, now = self.reached[origin], position(self.consumer, origin)
            if origin in last:
                batches[last[origin]] = replace(batches[last[origin]], next_offset=now)
            elif now > before:
                batches.append(_nothing(origin, before, now))
            self.reached[origin] = now
        return batches

    def poll_until(self, timeout: float, max_bytes: int) -> list[Batch]:
        """What comes next, and something has to."""
        deadline = time.monotonic() + timeout
        while not (batches := self.poll(0.5, max_bytes)):
            if time.monotonic() > deadline:
                raise errors.KafkaTimeoutError(f"nothing came within {timeout:.0f} s")
        return batches


class _Member(kafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """A Subscription. Rebalances are noted where kafka-python reports them, on its own thread, while poll waits;
    they are handed on when poll is back on its caller's."""

    def __init__(
        self,
        log: KafkaLog,
        consumer: Any,
        topics: Sequence[str],
        on_assigned: OnAssigned,
        on_revoked: OnRevoked,
    ):
        self._log, self._consumer, self._reader = log, consumer, _Reader(consumer)
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._won: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._ready: list[Batch] = []
        self._look = JOINING_SECONDS
        asked = [kafka.TopicPartition(topics[0], 0)]
        self._watch = Watch(lambda: consumer.end_offsets(asked, timeout_ms=ANSWER_MILLISECONDS))
        for topic in topics:
            consumer.partitions_for_topic(topic)  # a leader that does not know them yet assigns nothing
        consumer.subscribe(list(topics), listener=self)

    # On kafka-python's thread.

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Keep them still until it is known where to start."""
        for partition in assigned:
            self._consumer.seek(partition, 0)
            self._consumer.pause(partition)
            self._won.add(TopicPartition(*partition))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Note them."""
        for partition in revoked:
            self._reader.lost.add(TopicPartition(*partition))
            self._won.discard(TopicPartition(*partition))

    # On both.

    @property
    def is_losing(self) -> bool:
        """Whether what was lost is still to be handed over; kafka_group joins again only after that."""
        return not self._reader.reached.keys().isdisjoint(self._reader.lost)

    # On the caller's.

    def poll(self, timeout: float, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        """See Subscription.poll. A broker that has gone silent is asked, and LogUnavailable where it is gone."""
        deadline = time.monotonic() + timeout
        self._hand_over()
        while not self._ready:
            left = max(0.0, deadline - time.monotonic())
            joining = not self._reader.reached
            self._fetch(min(left, self._look) if joining else left, max_bytes)
            self._look = min(2 * self._look, LONGEST_LOOK)
            self._hand_over()
            if not joining or time.monotonic() >= deadline:
                break
        ready, self._ready = self._ready, []
        return ready

    def _fetch(self, timeout: float, max_bytes: int) -> None:
        with self._log._connector.translating():
            try:
                self._ready = self._reader.poll(timeout, max_bytes)
                self._watch.look(bool(self._ready), last_heartbeat(self._consumer))
            except errors.OffsetOutOfRangeError as error:
                self._refuse(error)

    def _refuse(self, error: errors.OffsetOutOfRangeError) -> None:
        for partition, offset in error.args[0].items():
            raise self._log._out_of_range(TopicPartition(*partition), offset) from None

    def _hand_over(self) -> None:
        """Pass on what was lost and won; where taking up fails, it is passed on again with the next poll."""
        if lost := frozenset(self._reader.lost & self._reader.reached.keys()):
            # First: it is gone whatever on_revoked raises, and the group does not wait for us any more.
            self._forget(lost)
            self._on_revoked(lost)
        self._reader.lost.clear()
        if self._won:
            starts = self._on_assigned(frozenset(self._won))
            self._start(starts)
            self._won.clear()
            self._look = JOINING_SECONDS

    def _start(self, starts: Positions) -> None:
        for origin, offset in starts.items():
            self._reader.seek(origin, offset)
            if origin not in self._paused:
                self._consumer.resume(kafka.TopicPartition(*origin))

    def _forget(self, lost: frozenset[TopicPartition]) -> None:
        for origin in lost:
            del self._reader.reached[origin]
        self._paused -= lost
        self._ready = [batch for batch in self._ready if batch.origin not in lost]

    def seek(self, origin: TopicPartition, offset: int) -> None:
        """See Subscription.seek."""
        if origin in self._reader.reached:
            self._reader.seek(origin, offset)
            self._ready = [batch for batch in self._ready if batch.origin != origin]

    def pause(self, origins: Iterable[TopicPartition]) -> None:
        """See Subscription.pause."""
        mine = self.assignment() & frozenset(origins)
        self._paused |= mine
        self._consumer.pause(*(kafka.TopicPartition(*origin) for origin in mine))

    def resume(self, origins: Iterable[TopicPartition]) -> None:
        """See Subscription.resume."""
        mine = self.assignment() & frozenset(origins)
        self._paused -= mine
        self._consumer.resume(*(kafka.TopicPartition(*origin) for origin in mine))

    def assignment(self) -> frozenset[TopicPartition]:
        """See Subscription.assignment; not what kafka-python has lost, though that is still to be handed over."""
        return frozenset(self._reader.reached.keys() - self._reader.lost)

    def close(self) -> None:
        """See Subscription.close."""
        held = frozenset(self._reader.reached)
        self._forget(held)
        try:
            if held:
                self._on_revoked(held)
        finally:
            with suppress(LogUnavailable), self._log._connector.translating():
                self._consumer.close(autocommit=False, timeout_ms=LEAVING_MILLISECONDS)


def _nothing(origin: TopicPartition, base: int, reached: int) -> Batch:
    return Batch(origin.topic, origin.partition, base, reached, 0, 0, None, b"")


def _settings(spec: TopicSpec) -> dict[str, Any]:
    configs = {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "retention.ms": str(spec.retention_ms),
    }
    return {"num_partitions": spec.partitions, "configs": configs}
