"""The log as the rest of tillroll sees it: topics of partitions of batches.

A batch is a run of records of one partition exactly as Kafka lays them out (the decompressed body of a
record batch v2). Every log hands out the same bytes, so one decoder serves all of them.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Protocol

from tillroll.contract.registry import TopicSpec

__all__ = [
    "Appended",
    "Batch",
    "EventLog",
    "Parts",
    "Position",
    "Positions",
    "Record",
    "Subscription",
    "TopicPartition",
]


class TopicPartition(NamedTuple):
    """One partition of one topic; the unit of order and of assignment."""

    topic: str
    partition: int


Positions = Mapping[TopicPartition, int]
"""Per partition the offset of the next record to read (or to be written)."""


class Position(NamedTuple):
    """Where one event stands."""

    topic: str
    partition: int
    offset: int


class Record(NamedTuple):
    """One event ready to append.

    value: wire format (schema prefix + Avro). event_id: canonical text of the uuid; logs that settle
    duplicates inside append (``EventLog.settles_duplicates``) go by it.
    """

    key: bytes
    value: bytes
    event_id: str


class Appended(NamedTuple):
    """What became of one appended event: its position, durable by now.

    duplicate: the log held the same bytes under this event_id already, at `position`; nothing was written.
    conflict: the log held *other* bytes under this event_id, at `position`; nothing was written.
    """

    position: Position
    duplicate: bool = False
    conflict: bool = False


class Parts(NamedTuple):
    """The batches that were joined into one by setting their bodies end to end: a number for each, in order.

    Of 64 bits, big-endian, one after the other, as databases send them: there may be one for every event.
    """

    base_offsets: bytes
    counts: bytes
    first_timestamps: bytes

    @classmethod
    def of(cls, base_offset: int, count: int, first_timestamp: int) -> "Parts":
        """Of a batch that is one."""
        return cls(*map(_NUMBER.pack, (base_offset, count, first_timestamp)))

    @property
    def next_offset(self) -> int:
        """Where the last one ends."""
        return int(_NUMBER.unpack(self.base_offsets[-8:])[0] + _NUMBER.unpack(self.counts[-8:])[0])


_NUMBER = struct.Struct(">q")


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition.

    body: records in Kafka's v2 layout, decompressed, `count` of them, offsets as deltas to `base_offset`.
    next_offset: where reading goes on; past transaction markers and compacted records too.
    first_timestamp: milliseconds since the epoch, to which the records' deltas are added.
    append_time: milliseconds, the time of every record if the log stamps on append; None = deltas count.
    start, stop: only offsets in [start, stop) are meant; None = no bound.
    parts: where it is many small batches in one, these: the records' deltas count from theirs. None = it is one.
    """

    topic: str
    partition: int
    base_offset: int
    next_offset: int
    count: int
    first_timestamp: int
    append_time: int | None
    body: bytes
    start: int | None = None
    stop: int | None = None
    parts: Parts | None = None

    @property
    def origin(self) -> TopicPartition:
        """The partition this batch belongs to."""
        return TopicPartition(self.topic, self.partition)

    def until(self, stop: int) -> "Batch":
        """The part of this batch below offset `stop`."""
        if stop >= self.next_offset:
            return self
        return replace(self, stop=stop, next_offset=stop)


class Subscription(Protocol):
    """A member of a consumer group reading its share of the partitions.

    Membership only spreads the work: two members may read one partition for a moment while it moves.
    Whoever folds what is read must fence by epoch.
    """

    def poll(self, timeout: float, max_bytes: int = ...) -> Sequence[Batch]:
        """Next batches, at most about `max_bytes` of body, after at most `timeout` seconds; may be empty.

        Calls `on_assigned` / `on_revoked` from here, never from another thread.
        A batch never holds records below the partition's position (its `start` cuts them off).
        Raises LogUnavailable, PositionOutOfRange, TopicMissing.
        """
        ...

    def seek(self, origin: TopicPartition, offset: int) -> None:
        """Go on reading an assigned partition at `offset`."""
        ...

    def pause(self, origins: Iterable[TopicPartition]) -> None:
        """Stop fetching these; they stay assigned."""
        ...

    def resume(self, origins: Iterable[TopicPartition]) -> None:
        """Fetch these again from where they stood."""
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this member holds now."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


OnAssigned = Callable[[frozenset[TopicPartition]], Positions]
"""Given newly assigned partitions, says where to start reading each of them."""

OnRevoked = Callable[[frozenset[TopicPartition]], None]


class EventLog(Protocol):
    """Append-only topics of partitions. Adapters: MemoryLog, PostgresLog, KafkaLog; one contract suite."""

    settles_duplicates: bool
    """True: append itself refuses an event_id seen before. False: admission must run."""

    @property
    def identity(self) -> str:
        """What tells this log from every other, for good (``kafka:<cluster id>``, ``postgresql:<uuid>``)."""
        ...

    def create_topics(self, topics: Iterable[TopicSpec]) -> None:
        """Make the topics that are missing; leave the others as they are."""
        ...

    def partitions(self, topic: str) -> int:
        """How many partitions `topic` has. Raises TopicMissing."""
        ...

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> list[Appended]:
        """Append in order; returns once durable, one answer per record, in the order given. Threads may append at once.

        Raises TopicMissing, LogUnavailable, DiskFull; then none, some or all of the records may be in the
        log: append the same again, with the same ids.
        """
        ...

    def append_all(
        self, appends: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, list[Appended]]:
        """`append` to several partitions at once, waiting for the disk or the broker once; answers by partition.

        What two partitions are given of one event_id is settled as if they were appended to one after the
        other, in order of topic and partition. Raises what `append` does.
        """
        ...

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = ...) -> Sequence[Batch]:
        """Batches from `offset` on, without a group; empty at the end. Raises PositionOutOfRange, TopicMissing."""
        ...

    def start_offset(self, origin: TopicPartition) -> int:
        """The lowest offset still held. Raises TopicMissing."""
        ...

    def end_offset(self, origin: TopicPartition) -> int:
        """One past the last offset that readers may see (the last stable offset). Raises TopicMissing."""
        ...

    def start_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """`start_offset` of several, in one question."""
        ...

    def end_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """`end_offset` of several, in one question."""
        ...

    def offset_at(self, origin: TopicPartition, time: datetime) -> int:
        """The first offset recorded at or after `time`; the end offset when there is none."""
        ...

    def subscribe(
        self, topics: Sequence[str], group: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """Join `group` over `topics`."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...
