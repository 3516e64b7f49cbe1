"""What a rebuild would take, without doing it."""

import time
from contextlib import closing
from dataclasses import dataclass

from tillroll.contract.registry import load_contract
from tillroll.log import extent
from tillroll.log.decode import decode_batches
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.projection.fold import Folder
from tillroll.services.replay.rebuild import Limits
from tillroll.store.postgres import PostgresStore

__all__ = ["Estimate", "estimate"]

SAMPLE_BYTES = 8 << 20  # of record bodies


@dataclass(frozen=True, slots=True)
class Estimate:
    """events: to read, by topic. rate: events a second in a sample of `sampled`, folded and written, then thrown away.

    seconds: at that rate, or at the one wished for if that is lower. bytes: of disk, as `bytes_from` says; None = unknown.
    """

    events: dict[str, int]
    sampled: int
    rate: float | None
    seconds: float | None
    bytes: int | None
    bytes_from: str


def estimate(
    log: EventLog, store: PostgresStore, projection: type[Projection], limits: Limits, wished: float | None
) -> Estimate:
    """Look at the log's ends, try a sample, and ask how big the live version is."""
    ends = extent.ends(log, projection.topics())
    starts = log.start_offsets(ends) | dict(limits.start)
    rest = {origin: max(0, end - starts[origin]) for origin, end in ends.items()}
    events = {topic: sum(n for at, n in rest.items() if at.topic == topic) for topic in projection.topics()}
    biggest = max(rest, key=lambda origin: rest[origin])
    sampled, rate = _sample(log, store, projection, biggest, starts[biggest]) if rest[biggest] else (0, None)
    pace = min(rate, wished) if rate and wished else rate
    size, source = _disk(store, projection)
    return Estimate(events, sampled, rate, sum(events.values()) / pace if pace else None, size, source)


def _sample(
    log: EventLog, store: PostgresStore, projection: type[Projection], origin: TopicPartition, start: int
) -> tuple[int, float | None]:
    """Fold and write a sample into tables that nobody ever sees; events, and their rate."""
    scratch, begun = projection.numbered(0), time.monotonic()
    batches = log.read(origin, start, SAMPLE_BYTES)
    folder = Folder(scratch(), load_contract())
    folded = folder.fold(decode_batches(batches, load_contract(), folder.wanted), batches)
    with closing(store.writer(scratch)) as writer:
        writer.rehearse(folded)
    events = sum(batch.count for batch in batches)
    return events, events / (time.monotonic() - begun)


def _disk(store: PostgresStore, projection: type[Projection]) -> tuple[int | None, str]:
    with store.connection() as connection:
        row = connection.execute(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0), max(p.version) from tillroll.projections p "
            "join pg_namespace n on n.nspname = p.name || '_v' || p.version "
            "join pg_class c on c.relnamespace = n.oid and c.relkind = 'r' where p.name = %s and p.live",
            [projection.name],
        ).fetchone()
    assert row is not None
    if row[1] is None:
        return None, "no version is there to go by"
    return int(row[0]), f"what version {row[1]} takes"
