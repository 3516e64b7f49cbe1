"""A log in memory: for tests, examples and the kit; the same bytes as the others, gone with the process."""

import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tillroll.contract.registry import TopicSpec
from tillroll.errors import PositionOutOfRange, TopicMissing
from tillroll.log.encode import encode_values
from tillroll.log.group import POLL_BYTES, GroupReader
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

__all__ = ["MemoryLog"]


@dataclass
class _Partition:
    batches: list[Batch] = field(default_factory=list)
    end: int = 0


class MemoryLog:
    """An EventLog in a dict. Settles duplicates inside append, as PostgresLog does."""

    settles_duplicates = True

    def __init__(self) -> None:
        self.identity = f"memory:{uuid.uuid4()}"
        self._topics: dict[str, list[_Partition]] = {}
        self._seen: dict[str, tuple[Position, bytes]] = {}
        self._grown = threading.Condition()
        self._groups: dict[str, set[str]] = {}

    def create_topics(self, topics: Iterable[TopicSpec]) -> None:
        """See EventLog.create_topics."""
        for spec in topics:
            self._topics.setdefault(spec.name, [_Partition() for _ in range(spec.partitions)])

    def partitions(self, topic: str) -> int:
        """See EventLog.partitions."""
        if topic not in self._topics:
            raise TopicMissing(f"the log has no topic {topic!r}; it has {sorted(self._topics)}")
        return len(self._topics[topic])

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> list[Appended]:
        """See EventLog.append."""
        held = self._partition(TopicPartition(topic, partition))
        with self._grown:
            answers, fresh = self._settle(topic, partition, records, held.end)
            if fresh:
                held.batches.append(_batch(topic, partition, held.end, fresh))
                held.end += len(fresh)
                self._grown.notify_all()
        return answers

    def append_all(
        self, appends: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, list[Appended]]:
        """See EventLog.append_all."""
        for origin in appends:
            self._partition(origin)
        return {origin: self.append(*origin, appends[origin]) for origin in sorted(appends)}

    def _settle(
        self, topic: str, partition: int, records: Sequence[Record], end: int
    ) -> tuple[list[Appended], list[Record]]:
        answers: list[Appended] = []
        fresh: list[Record] = []
        for record in records:
            if first := self._seen.get(record.event_id):
                same = first[1] == record.value
                answers.append(Appended(first[0], duplicate=same, conflict=not same))
                continue
            position = Position(topic, partition, end + len(fresh))
            self._seen[record.event_id] = (position, record.value)
            answers.append(Appended(position))
            fresh.append(record)
        return answers, fresh

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        """See EventLog.read."""
        held = self._partition(origin)
        if not 0 <= offset <= held.end:
            raise PositionOutOfRange(
                f"{origin.topic}/{origin.partition}: offset {offset} is not in 0..{held.end}"
            )
        out: list[Batch] = []
        size = 0
        for batch in held.batches:
            if batch.next_offset > offset:
                out.append(replace(batch, start=offset) if batch.base_offset < offset else batch)
                size += len(batch.body)
                if size >= max_bytes:
                    break
        return out

    def start_offset(self, origin: TopicPartition) -> int:
        """See EventLog.start_offset."""
        self._partition(origin)
        return 0

    def end_offset(self, origin: TopicPartition) -> int:
        """See EventLog.end_offset."""
        return self._partition(origin).end

    def start_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.start_offsets."""
        return {origin: self.start_offset(origin) for origin in origins}

    def end_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.end_offsets."""
        return {origin: self.end_offset(origin) for origin in origins}

    def offset_at(self, origin: TopicPartition, time: datetime) -> int:
        """See EventLog.offset_at."""
        wanted = time.timestamp() * 1000
        held = self._partition(origin)
        return next((b.base_offset for b in held.batches if b.first_timestamp >= wanted), held.end)

    def subscribe(
        self, topics: Sequence[str], group: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """See EventLog.subscribe."""
        members = self._groups.setdefault(group, set())
        return GroupReader(self, topics, _Member(members, self._grown), on_assigned, on_revoked)

    def close(self) -> None:
        """Nothing to let go of."""

    def _partition(self, origin: TopicPartition) -> _Partition:
        count = self.partitions(origin.topic)
        if not 0 <= origin.partition < count:
            raise TopicMissing(
                f"topic {origin.topic!r} has partitions 0..{count - 1}, not {origin.partition}"
            )
        return self._topics[origin.topic][origin.partition]


class _Member:
    def __init__(self, members: set[str], grown: threading.Condition):
        self.me = str(uuid.uuid4())
        self._members, self._grown = members, grown
        members.add(self.me)

    def members(self) -> Sequence[str]:
        return sorted(self._members)

    def ahead(self, positions: Positions) -> Mapping[TopicPartition, Sequence[Batch]]:
        return dict.fromkeys(positions, ())  # asking costs as much as reading

    def wait(self, timeout: float) -> None:
        with self._grown:
            self._grown.wait(timeout)

    def leave(self) -> None:
        self._members.discard(self.me)


def _batch(topic: str, partition: int, base: int, records: Sequence[Record]) -> Batch:
    body = encode_values([record.key for record in records], [record.value for record in records])
    now = int(time.time() * 1000)
    return Batch(topic, partition, base, base + len(records), len(records), now, None, body)
