"""Whether a read model is what its events make of it: folded anew up to its very positions, and compared."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tillroll.errors import UsageError
from tillroll.log.port import EventLog, Position, Positions, TopicPartition
from tillroll.services.replay.anew import SCRATCH, folded_anew
from tillroll.services.replay.filling import by_its_code
from tillroll.store import dead_letters
from tillroll.store.comparing import Changed, TableDifference, live_copy
from tillroll.store.locks import office
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find

__all__ = ["PartitionCheck", "Verified", "verify"]

SAMPLES = 5


@dataclass(frozen=True, slots=True)
class PartitionCheck:
    """One partition, from where the version began up to the position, in events.

    in_log: counted by reading, without what admission passed over.
    applied: by the live version, None where it was begun before they were counted; dead_letters: kept for it;
    expected: found by folding anew.
    """

    topic: str
    partition: int
    position: int
    in_log: int
    applied: int | None
    dead_letters: int
    expected: int

    @property
    def complete(self) -> bool:
        """Whether every event of the log was applied or is a dead letter."""
        return self.applied is None or self.applied + self.dead_letters == self.in_log


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. tables: the rows folded anew ("candidate") against those that are stored ("live").

    beside: where readers see the same rows, by stored table the rows that hold something else for what is still to come,
    such as the moves of a Level or the time of a Latest. missing, surplus: dead letters that should be kept and are not, and the other way round. begins: where the version
    was told to begin, and was folded from, '' = at the beginning.
    """

    projection: str
    version: int
    partitions: tuple[PartitionCheck, ...]
    tables: tuple[TableDifference, ...]
    samples: dict[str, list[Changed]]
    missing: tuple[Position, ...]
    surplus: tuple[Position, ...]
    begins: str
    beside: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether rows, dead letters and counts are what the events make of them."""
        complete = all(each.complete for each in self.partitions)
        rows = all(table.same for table in self.tables) and not self.beside
        return complete and rows and not self.missing and not self.surplus


def verify(log: EventLog, store: PostgresStore, name: str) -> Verified:
    """Fold the events of the live version of `name` anew, up to its positions, and compare; nobody has to stop.

    A version that was rebuilt with ``--from`` is folded from there on.
    """
    store.bind(log.identity)
    live = _live(store, name)
    projection = by_its_code(live)
    with (
        office(store, name),
        live_copy(store, projection, stored=True) as copy,
        folded_anew(log, store, live, projection, copy.positions) as scratch,
    ):
        tables = tuple(copy.differences(scratch))
        samples = {
            t.table: list(copy.changed(scratch, t.table, SAMPLES))
            for t in tables
            if t.comparable and not t.same
        }
        beside = copy.stored_differences(scratch) if all(table.same for table in tables) else {}
        kept, found = (_dead(store, name, number, copy.positions) for number in (live.number, SCRATCH))
        read = store.applied(scratch)
    checks = tuple(
        _check(origin, at, copy.applied.get(origin), read.get(origin) or 0, kept, found)
        for origin, at in sorted(copy.positions.items())
    )
    missing, surplus = tuple(sorted(found - kept)), tuple(sorted(kept - found))
    begins = str(live.limits.get("from", ""))
    return Verified(name, live.number, checks, tables, samples, missing, surplus, begins, beside)


def _check(
    origin: TopicPartition,
    at: int,
    applied: int | None,
    read: int,
    kept: Collection[Position],
    found: Collection[Position],
) -> PartitionCheck:
    dead, expected = (sum(each[:2] == origin for each in letters) for letters in (kept, found))
    return PartitionCheck(*origin, at, read + expected, applied, dead, expected)


def _live(store: PostgresStore, name: str) -> Version:
    with store.connection() as connection:
        versions = find(connection, name)
    live = next((version for version in versions if version.state is State.LIVE), None)
    if live is None or live.code is None:
        raise UsageError(
            f"{name} has no version in this store; `tillroll project {name} --once` makes the first one"
        )
    return live


def _dead(store: PostgresStore, name: str, number: int, positions: Positions) -> set[Position]:
    letters = dead_letters.find(store, name, discarded=True)
    return {
        letter.position
        for letter in letters
        if letter.version == number
        and letter.position.offset < positions.get(TopicPartition(*letter.position[:2]), 0)
    }
