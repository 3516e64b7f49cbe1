"""What a rebuild is told to leave out: where it begins, and whose keys it is for."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from tillroll.contract.times import time_of
from tillroll.errors import UsageError
from tillroll.log import extent
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.projection.values import value_of
from tillroll.services.replay.rebuild import Limits

__all__ = ["limits_of"]

_PLACE = re.compile(r"([\w.-]+)/(\d+):(\d+)")


def limits_of(
    log: EventLog, projection: type[Projection], start: Sequence[str], only: Sequence[tuple[str, str]]
) -> Limits:
    """Limits from texts: ``earliest``, an ISO 8601 time of recording (UTC where it names no zone), TOPIC/PARTITION:OFFSET.

    Raises UsageError for what is none of these, an offset that the log does not hold, a column that is part of no key,
    and what is no value of it.
    """
    return Limits(_start(log, projection, start), " ".join(start), _only(projection, only))


def _start(log: EventLog, projection: type[Projection], texts: Sequence[str]) -> dict[TopicPartition, int]:
    origins = extent.origins(log, projection.topics())
    if not texts:
        return {}
    places = [_PLACE.fullmatch(text) for text in texts]
    found = {TopicPartition(m[1], int(m[2])): int(m[3]) for m in places if m}
    if len(found) == len(texts):
        if unknown := found.keys() - set(origins):
            raise UsageError(f"{projection.name} reads no partition {'{}/{}'.format(*min(unknown))}")
        for origin, offset in found.items():
            _refuse_beyond(log, origin, offset)
        return log.start_offsets(origins) | found
    if len(texts) > 1:
        raise UsageError("--from takes one time, or offsets as TOPIC/PARTITION:OFFSET")
    if texts[0] == "earliest":
        return log.start_offsets(origins)
    time = _time(texts[0])
    return {origin: log.offset_at(origin, time) for origin in origins}


def _refuse_beyond(log: EventLog, origin: TopicPartition, offset: int) -> None:
    start, end = log.start_offset(origin), log.end_offset(origin)
    if not start <= offset <= end:
        raise UsageError(
            f"--from {origin.topic}/{origin.partition}:{offset}: the log holds offsets {start} to {end} there"
        )


def _time(text: str) -> datetime:
    try:
        found = time_of(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--from {text}: a time as 2026-11-23T09:30:00Z, 'earliest', or TOPIC/PARTITION:OFFSET is expected"
        ) from None


def _only(projection: type[Projection], only: Sequence[tuple[str, str]]) -> dict[str, str]:
    types = {name: table.column(name).type for table in projection.tables for name in table.key}
    for name, text in only:
        if name not in types:
            raise UsageError(
                f"{name} is part of no key of {projection.name}; there are {', '.join(sorted(types))}"
            )
        value_of(name, types[name], text)
    if len(dict(only)) < len(only):
        raise UsageError("--key takes one value of a column; rebuild once for each, or without it")
    return dict(only)
