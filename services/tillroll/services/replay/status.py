"""Every version of projections, and how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tillroll.errors import DeclarationError, UsageError
from tillroll.log import extent
from tillroll.log.port import EventLog
from tillroll.services.replay.filling import by_its_code
from tillroll.store import dead_letters
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find, progress_of

__all__ = ["VersionStanding", "standing"]


@dataclass(frozen=True, slots=True)
class VersionStanding:
    """One version. behind: events to the end of the log, None where its code cannot be run here.

    percent, rate (events a second), seconds_left (at the mean rate, at best, at worst): of the rebuild, while it
    fills; None else.
    """

    projection: str
    version: int
    state: State
    created_at: datetime
    limits: Mapping[str, Any]
    behind: int | None
    dead_letters: int
    percent: float | None
    rate: float | None
    seconds_left: tuple[float, float, float] | None


def standing(log: EventLog, store: PostgresStore, names: Sequence[str]) -> list[VersionStanding]:
    """The versions of the projections `names`, of all when none is given. Raises UsageError on an unknown name."""
    with store.connection() as connection:
        versions = find(connection)
    known = {version.name for version in versions}
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none yet"
            raise UsageError(f"{name} has no version in this store; there are {there}")
    dead = dead_letters.count(store)
    return [
        _standing(log, store, version, dead) for version in versions if not names or version.name in names
    ]


def _standing(
    log: EventLog, store: PostgresStore, version: Version, dead: Mapping[tuple[str, int], int]
) -> VersionStanding:
    with store.connection() as connection:
        progress = progress_of(connection, version.name, version.number)
    if version.state not in (State.FILLING, State.PAUSED):
        progress = None
    return VersionStanding(
        version.name,
        version.number,
        version.state,
        version.created_at,
        version.limits,
        _behind(log, store, version),
        dead.get((version.name, version.number), 0),
        progress.percent if progress else None,
        progress.rate if progress else None,
        progress.left if progress else None,
    )


def _behind(log: EventLog, store: PostgresStore, version: Version) -> int | None:
    if version.code is None:
        return None
    try:
        projection = by_its_code(version)
    except DeclarationError:
        return None
    at = store.positions(projection)
    return extent.between(at, extent.ends(log, projection.topics()))
