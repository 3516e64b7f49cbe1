"""Versions of projections in the store: what each is declared as, the code it is projected by, and its state.

A version is made once and keeps its tables, in a schema of its own, until it is retired. Readers' views point
to the live one. Who may touch a version when, says locks.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tillroll.database import Connection
from tillroll.errors import DeclarationError
from tillroll.log.port import Positions, TopicPartition
from tillroll.projection.code import Code, code_of
from tillroll.projection.declare import Projection
from tillroll.store import sql
from tillroll.store.expressions import check_derived

if TYPE_CHECKING:
    from tillroll.store.postgres import PostgresStore

__all__ = [
    "Progress",
    "State",
    "Version",
    "create",
    "drop",
    "find",
    "highest",
    "install",
    "mark",
    "noted",
    "progress_of",
    "recode",
]


class State(StrEnum):
    """Of a version."""

    LIVE = "live"  # readers see it
    FILLING = "filling"  # a rebuild is at work, or was interrupted
    PAUSED = "paused"  # a rebuild that is to rest
    CANDIDATE = "candidate"  # filled, and kept up with the log
    WARM = "warm"  # was live; kept up for a rollback


PROJECTED = (State.LIVE, State.CANDIDATE, State.WARM)
"""States in which `tillroll project` keeps a version up with the log."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the projection `name`. code: None in stores made before code was recorded.

    limits: what a rebuild left out on purpose: ``from`` (text) and ``only`` (key column: value); empty = nothing.
    start: per partition the offset that ``from`` stood for when the version was made; empty = all from the first on.
    """

    name: str
    number: int
    state: State
    code: Code | None
    created_at: datetime
    limits: Mapping[str, Any] = field(default_factory=dict)
    start: Positions = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is. goal: events to read in all; rates in events a second; seconds left, None = unknown.

    slowest, quickest: of the last parts of two seconds each; the spread of the seconds left follows from them.
    """

    projection: str
    version: int
    events: int
    goal: int
    dead_letters: int
    rate: float | None
    slowest: float | None
    quickest: float | None

    @property
    def percent(self) -> float:
        """Of the goal; 100 where there is nothing to read."""
        return 100.0 * min(self.events, self.goal) / self.goal if self.goal else 100.0

    @property
    def left(self) -> tuple[float, float, float] | None:
        """Seconds left: at the mean rate, at best, at worst."""
        if not self.rate or not self.slowest or not self.quickest:
            return None
        rest = max(0, self.goal - self.events)
        return rest / self.rate, rest / self.quickest, rest / self.slowest


def install(connection: Connection, projection: type[Projection]) -> None:
    """Make the first version of a projection live; any further one has to be there.

    Raises DeclarationError when it is not, or was declared differently.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", [sql.SCHEMA_LOCK])
    row = connection.execute(
        "select fingerprint from tillroll.projections where name = %s and version = %s",
        [projection.name, projection.version],
    ).fetchone()
    if row is not None and row[0] == projection.fingerprint():
        return
    others = find(connection, projection.name)
    if others:
        there = ", ".join(str(version.number) for version in others)
        raise DeclarationError(
            f"{projection.name} as it is declared here is none of the versions in the store ({there}); "
            f"`tillroll replay rebuild {projection.name}` fills the next one beside them"
        )
    create(connection, projection, State.LIVE)
    connection.execute(sql.views(projection).encode())


def create(
    connection: Connection,
    projection: type[Projection],
    state: State,
    limits: Mapping[str, Any] | None = None,
    start: Positions | None = None,
) -> None:
    """Make the tables of a version, which is projected from `start` on (see Version).

    Raises DeclarationError on a derived column that PostgreSQL cannot evaluate.
    """
    connection.execute(sql.create(projection).encode())
    check_derived(connection, projection)
    connection.execute(
        "insert into tillroll.projections (name, version, fingerprint, live, state, code, limits, start) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            projection.name,
            projection.version,
            projection.fingerprint(),
            state is State.LIVE,
            state,
            json.dumps(code_of(projection).as_json()),
            json.dumps(dict(limits or {})),
            json.dumps([[*origin, offset] for origin, offset in (start or {}).items()]),
        ],
    )
    for origin, offset in (start or {}).items():
        connection.execute(
            "insert into tillroll.positions (projection, version, topic, partition, next_offset, epoch, applied) "
            "values (%s, %s, %s, %s, %s, 0, 0)",
            [projection.name, projection.version, *origin, offset],
        )


def find(connection: Connection, name: str | None = None) -> list[Version]:
    """All versions of `name`, or of all projections, oldest first."""
    rows = connection.execute(
        "select name, version, state, code, created_at, limits, start from tillroll.projections "
        "where %(name)s::text is null or name = %(name)s order by name, version",
        {"name": name},
    ).fetchall()
    return [
        Version(
            name,
            number,
            State(state),
            Code.of_json(code) if code else None,
            at,
            limits or {},
            {TopicPartition(topic, n): offset for topic, n, offset in start},
        )
        for name, number, state, code, at, limits, start in rows
    ]


def mark(connection: Connection, name: str, number: int, state: State, code: Code | None = None) -> None:
    """Note another state of a version, and another code that it is projected by, if one is given."""
    connection.execute(
        "update tillroll.projections set state = %s, live = %s, code = coalesce(%s, code) "
        "where name = %s and version = %s",
        [state, state is State.LIVE, json.dumps(code.as_json()) if code else None, name, number],
    )


def recode(connection: Connection, name: str, number: int, code: Code) -> None:
    """Have a version projected by other code from now on."""
    connection.execute(
        "update tillroll.projections set code = %s where name = %s and version = %s",
        [json.dumps(code.as_json()), name, number],
    )


def drop(connection: Connection, name: str, number: int) -> None:
    """Take away a version that readers do not see: tables, positions, dead letters, everything."""
    # First the row that `noted` holds while it writes: what it wrote is seen below.
    connection.execute("delete from tillroll.projections where name = %s and version = %s", [name, number])
    connection.execute(f"drop schema if exists {sql.quoted(f'{name}_v{number}')} cascade".encode())
    for table in ("positions", "dead_letters", "taken_back", "replays"):
        connection.execute(
            f"delete from tillroll.{table} where projection = %s and version = %s".encode(), [name, number]
        )


def noted(store: "PostgresStore", progress: Progress) -> None:
    """Keep how far a rebuild is, for others to see; of a version that is gone, nothing."""
    with store.connection() as connection:
        connection.execute(
            "insert into tillroll.replays as r (projection, version, goal, events, rate, slowest, quickest) "
            "select name, version, %s, %s, %s, %s, %s from tillroll.projections where name = %s and version = %s "
            "for key share on conflict (projection, version) do update set updated_at = now(), "
            "goal = excluded.goal, events = excluded.events, rate = coalesce(excluded.rate, r.rate), "
            "slowest = coalesce(excluded.slowest, r.slowest), quickest = coalesce(excluded.quickest, r.quickest)",
            [
                progress.goal, progress.events, progress.rate, progress.slowest, progress.quickest,
                progress.projection, progress.version,
            ],
        )  # fmt: skip


def progress_of(connection: Connection, name: str, number: int) -> Progress | None:
    """How far the rebuild that fills, or filled, this version is; None where it was made otherwise."""
    row = connection.execute(
        "select events, goal, (select count(*) from tillroll.dead_letters d where d.projection = r.projection and "
        "d.version = r.version and not d.discarded), rate, slowest, quickest from tillroll.replays r where projection = %s and version = %s",
        [name, number],
    ).fetchone()
    return Progress(name, number, *row) if row else None


def highest(connection: Connection, name: str) -> int:
    """The highest number that a version of `name` ever had; 0 = none."""
    row = connection.execute(
        "select greatest((select max(version) from tillroll.projections where name = %(name)s), "
        "(select max(to_version) from tillroll.audit where projection = %(name)s), 0)",
        {"name": name},
    ).fetchone()
    return int(row[0]) if row else 0
