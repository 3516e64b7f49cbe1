"""How far a log reaches: the partitions of topics, where they end, and how much lies in between."""

from collections.abc import Iterable

from tillroll.log.port import EventLog, Positions, TopicPartition

__all__ = ["between", "ends", "origins"]


def origins(log: EventLog, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of `topics`. Raises TopicMissing."""
    return [TopicPartition(topic, n) for topic in topics for n in range(log.partitions(topic))]


def ends(log: EventLog, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Where each partition of `topics` ends now. Raises TopicMissing."""
    return log.end_offsets(origins(log, topics))


def between(starts: Positions, stops: Positions) -> int:
    """How many offsets there are from `starts`, 0 where they say nothing, to `stops`."""
    return sum(max(0, stop - starts.get(origin, 0)) for origin, stop in stops.items())
