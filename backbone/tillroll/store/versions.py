"""Versions of projections in the store: what each is declared as, the code it is projected by, and its state.

A version is made once and keeps its tables, in a schema of its own, until it is retired. Readers' views point
to the live one. Whoever projects a version holds its lock shared (`InUse`); who wants it to stand still, to compare
it or to take it away, takes the lock for itself (`standing_still`).
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import psycopg

from tillroll.database import Connection
from tillroll.errors import DeclarationError, TillrollError
from tillroll.projection.code import Code, code_of
from tillroll.projection.declare import Projection
from tillroll.store import sql

if TYPE_CHECKING:
    from tillroll.store.postgres import PostgresStore

__all__ = ["InUse", "State", "Version", "create", "drop", "find", "install", "mark", "standing_still"]

VERSION_LOCK = 0x7469_6C76  # "tilv": with the hash of the version's schema
ASK_SECONDS = 0.5  # between two looks at whether a version is still to be projected
STILL_PATIENCE = 60.0  # seconds that its projectors have to come to rest


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
    """

    name: str
    number: int
    state: State
    code: Code | None
    created_at: datetime
    limits: Mapping[str, Any] = field(default_factory=dict)


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
) -> None:
    """Make the tables of a version."""
    connection.execute(sql.create(projection).encode())
    connection.execute(
        "insert into tillroll.projections (name, version, fingerprint, live, state, code, limits) "
        "values (%s, %s, %s, %s, %s, %s, %s)",
        [
            projection.name,
            projection.version,
            projection.fingerprint(),
            state is State.LIVE,
            state,
            json.dumps(code_of(projection).as_json()),
            json.dumps(dict(limits or {})),
        ],
    )


def find(connection: Connection, name: str | None = None) -> list[Version]:
    """All versions of `name`, or of all projections, oldest first."""
    rows = connection.execute(
        "select name, version, state, code, created_at, limits from tillroll.projections "
        "where %(name)s::text is null or name = %(name)s order by name, version",
        {"name": name},
    ).fetchall()
    return [
        Version(name, number, State(state), Code.of_json(code) if code else None, at, limits or {})
        for name, number, state, code, at, limits in rows
    ]


def mark(connection: Connection, name: str, number: int, state: State, code: Code | None = None) -> None:
    """Note another state of a version, and another code if one is given (whose rows are the same)."""
    connection.execute(
        "update tillroll.projections set state = %s, live = %s, code = coalesce(%s, code) "
        "where name = %s and version = %s",
        [state, state is State.LIVE, json.dumps(code.as_json()) if code else None, name, number],
    )


def drop(connection: Connection, name: str, number: int) -> None:
    """Take away a version that readers do not see: tables, positions, dead letters, everything."""
    connection.execute(f"drop schema if exists {sql.quoted(f'{name}_v{number}')} cascade".encode())
    for table in ("positions", "dead_letters", "taken_back", "replays"):
        connection.execute(
            f"delete from tillroll.{table} where projection = %s and version = %s".encode(), [name, number]
        )
    connection.execute("delete from tillroll.projections where name = %s and version = %s", [name, number])


class InUse:
    """Held by whoever projects a version; `still` says, now and then, whether to go on.

    The lock is let go and taken again there, so that who waits for the version to stand still gets it.
    """

    def __init__(self, store: "PostgresStore", name: str, number: int):
        self._name, self._number, self._asked = name, number, time.monotonic()
        with store.connection():
            self._connection = store.database.connect(autocommit=True)
        self._translated = store.database.translated
        self._held = self._take()

    def still(self) -> bool:
        """Whether this version is to be projected on. Raises StoreUnavailable."""
        now = time.monotonic()
        if self._held and now - self._asked >= ASK_SECONDS:
            self._asked = now
            with self._translated():
                self._connection.execute(
                    "select pg_advisory_unlock_shared(%s, hashtext(%s))", [VERSION_LOCK, self._key]
                )
            self._held = self._take()
        return self._held

    @property
    def state(self) -> State | None:
        """The version's state now; None when it is gone. Raises StoreUnavailable."""
        with self._translated():
            row = self._connection.execute(
                "select state from tillroll.projections where name = %s and version = %s",
                [self._name, self._number],
            ).fetchone()
        return State(row[0]) if row else None

    def close(self) -> None:
        """Let go."""
        self._connection.close()

    @property
    def _key(self) -> str:
        return f"{self._name}_v{self._number}"

    def _take(self) -> bool:
        with self._translated():
            row = self._connection.execute(
                "select pg_try_advisory_lock_shared(%s, hashtext(%s)) and exists "
                "(select 1 from tillroll.projections where name = %s and version = %s)",
                [VERSION_LOCK, self._key, self._name, self._number],
            ).fetchone()
        return bool(row and row[0])


@contextmanager
def standing_still(
    store: "PostgresStore", name: str, number: int, patience: float = STILL_PATIENCE
) -> Iterator[None]:
    """Nobody projects the version while this lasts. Raises TillrollError when they do not let go in time."""
    with store.connection():
        connection = store.database.connect(autocommit=True)
    try:
        with store.database.translated():
            end = time.monotonic() + patience
            while not _taken(connection, f"{name}_v{number}", end - time.monotonic()):
                if time.monotonic() > end:
                    raise TillrollError(
                        f"version {number} of {name} is being projected by a process that does not let go of it; stop "
                        "that one, then do this again"
                    )
        yield
    finally:
        connection.close()


def _taken(connection: Connection, key: str, seconds: float) -> bool:
    connection.execute(f"set lock_timeout = {max(1, int(seconds * 1000))}".encode())
    try:
        connection.execute("select pg_advisory_lock(%s, hashtext(%s))", [VERSION_LOCK, key])
    except psycopg.errors.LockNotAvailable:
        return False
    return True
