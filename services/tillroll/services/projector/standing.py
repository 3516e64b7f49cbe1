"""How far projections are behind the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tillroll.contract.registry import Contract
from tillroll.errors import TopicMissing
from tillroll.log import extent
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.store import dead_letters
from tillroll.store.admission import Verdicts
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, find

__all__ = ["AdmissionStanding", "PartitionStanding", "ProjectionStanding", "Standing", "standing"]


@dataclass(frozen=True, slots=True)
class PartitionStanding:
    """One partition: the position and the end as offsets, the lag in offsets.

    seconds: since the position last moved while it is behind; None where nothing was read yet. 0 at the end.
    """

    topic: str
    partition: int
    position: int
    end: int
    lag: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ProjectionStanding:
    """One version of a projection: the sum of its lags, the longest of its seconds.

    state: as `tillroll replay status` tells it; None where nothing was projected yet.
    """

    projection: str
    version: int
    state: State | None
    lag: int
    seconds: float | None
    dead_letters: int
    partitions: tuple[PartitionStanding, ...]


@dataclass(frozen=True, slots=True)
class AdmissionStanding:
    """How many offsets admission has not judged yet, and how many events it refused for a used id."""

    lag: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everything stands. admission: None where the log settles duplicates itself."""

    log: str
    projections: tuple[ProjectionStanding, ...]
    admission: AdmissionStanding | None


def standing(
    log: EventLog, store: PostgresStore, contract: Contract, projections: Sequence[type[Projection]]
) -> Standing:
    """Where every version of `projections` stands. A topic that nothing was published to yet has no partitions."""
    ends = _ends(log, contract)
    dead = dead_letters.count(store)
    found = [
        _projection(store, p, state, ends, dead.get((p.name, p.version), 0))
        for projection in projections
        for p, state in _versions(store, projection)
    ]
    admission = None if log.settles_duplicates else _admission(store, ends, dead)
    return Standing(log.identity, tuple(found), admission)


def _ends(log: EventLog, contract: Contract) -> dict[TopicPartition, int]:
    out: dict[TopicPartition, int] = {}
    for topic in contract.topics:
        try:
            out |= extent.ends(log, [topic])
        except TopicMissing:
            continue
    return out


def _versions(
    store: PostgresStore, projection: type[Projection]
) -> list[tuple[type[Projection], State | None]]:
    """The versions there are, or the first one that will be. Topics are those of the code at hand."""
    with store.connection() as connection:
        there = find(connection, projection.name)
    return [(projection.numbered(each.number), each.state) for each in there] or [(projection, None)]


def _projection(
    store: PostgresStore,
    projection: type[Projection],
    state: State | None,
    ends: Mapping[TopicPartition, int],
    dead: int,
) -> ProjectionStanding:
    at, topics = store.standing(projection), projection.topics()
    parts = [
        _partition(origin, end, at.get(origin)) for origin, end in ends.items() if origin.topic in topics
    ]
    told = [part.seconds for part in parts if part.seconds is not None]
    lag = sum(part.lag for part in parts)
    return ProjectionStanding(
        projection.name, projection.version, state, lag, max(told, default=None), dead, tuple(parts)
    )


def _partition(origin: TopicPartition, end: int, at: tuple[int, float] | None) -> PartitionStanding:
    position, idle = at or (0, None)
    lag = max(0, end - position)
    return PartitionStanding(*origin, position, end, lag, idle if lag else 0.0)


def _admission(
    store: PostgresStore, ends: Mapping[TopicPartition, int], dead: Mapping[tuple[str, int], int]
) -> AdmissionStanding:
    admitted = Verdicts(store).admitted(ends)
    lag = extent.between(admitted, ends)
    return AdmissionStanding(lag, dead.get((dead_letters.ADMISSION, 0), 0))
