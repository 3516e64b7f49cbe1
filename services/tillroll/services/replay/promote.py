"""What readers see, changed: promoted to the candidate, rolled back to what was, versions retired; all of it kept."""

import getpass
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tillroll.database import Connection
from tillroll.errors import TillrollError, UsageError
from tillroll.log import extent
from tillroll.log.port import EventLog
from tillroll.services.replay.compare import compared, pair
from tillroll.services.replay.filling import by_its_code
from tillroll.store.locks import office, standing_still
from tillroll.store.postgres import PostgresStore
from tillroll.store.switching import switch
from tillroll.store.versions import State, Version, drop, find, mark

__all__ = [
    "Entry",
    "Switched",
    "audit",
    "cancel",
    "enter",
    "obstacles",
    "pause",
    "promote",
    "retire",
    "rollback",
]

NEAR = 10_000  # events: a candidate further behind is not caught up


@dataclass(frozen=True, slots=True)
class Switched:
    """Readers see another version. overridden: reasons against it that were set aside. back: by a rollback."""

    projection: str
    from_version: int
    to_version: int
    overridden: tuple[str, ...] = ()
    retired: int | None = None
    back: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit."""

    at: datetime
    who: str
    action: str
    projection: str
    from_version: int | None
    to_version: int | None
    reason: str | None
    details: Mapping[str, Any]


def obstacles(log: EventLog, store: PostgresStore, live: Version, candidate: Version) -> list[str]:
    """Why the candidate should not become live yet."""
    found = []
    behind = _behind(log, store, candidate)
    if behind > NEAR:
        found.append(f"it is {behind:,} events behind the log; `tillroll project` brings it up")
    new = _new_dead_letters(store, live, candidate)
    if new:
        found.append(
            f"it has {new:,} dead letters that the live version has not; `tillroll dead-letters list {live.name}`"
        )
    if compared(store, live.name, live.number, candidate.number) is None:
        found.append(f"it was not compared with version {live.number}; `tillroll replay compare {live.name}`")
    if candidate.limits:
        told = ", ".join(f"{name} {value}" for name, value in candidate.limits.items())
        found.append(f"it was filled in part only ({told})")
    return found


def promote(
    log: EventLog,
    store: PostgresStore,
    name: str,
    force: bool = False,
    reason: str | None = None,
    retiring: bool = False,
) -> Switched:
    """Make the candidate live. Raises TillrollError with every obstacle, unless forced."""
    store.bind(log.identity)
    live, candidate = pair(store, name)
    found = obstacles(log, store, live, candidate)
    if found and not force:
        raise TillrollError(
            f"version {candidate.number} of {name} is not promoted: {'; '.join(found)}; --force does it all the same"
        )
    details = {"overridden": found, "compared": compared(store, name, live.number, candidate.number)}
    _switch(store, "promote", live, candidate, reason, details)
    retired = None
    if retiring:
        retire(store, name, live.number, reason)
        retired = live.number
    return Switched(name, live.number, candidate.number, tuple(found), retired)


def rollback(store: PostgresStore, name: str, reason: str | None = None) -> Switched:
    """Make that version live again which was live before this one, which becomes a candidate again."""
    versions = _versions(store, name)
    live = _one(versions, name, State.LIVE)
    with store.connection() as connection:
        rows = connection.execute(
            "select from_version from tillroll.audit where projection = %s and to_version = %s "
            "and action in ('promote', 'rollback') order by id desc limit 1",
            [name, live.number],
        ).fetchall()
    before = next((v for v in versions if rows and v.number == rows[0][0]), None)
    if before is not None and before.state is not State.WARM:
        raise UsageError(
            f"{name} cannot be rolled back: version {before.number}, which was live before {live.number}, is a "
            f"{before.state} by now; `tillroll replay promote {name}` makes it live again"
        )
    if before is None:
        warm = ", ".join(str(v.number) for v in versions if v.state is State.WARM)
        raise UsageError(
            f"{name} cannot be rolled back: the version that was live before {live.number} is not there any more"
            + (f"; kept are {warm}" if warm else "")
            if rows
            else f"{name} cannot be rolled back: version {live.number} is the first that readers see"
        )
    _switch(store, "rollback", live, before, reason, {})
    return Switched(name, live.number, before.number, back=True)


def retire(store: PostgresStore, name: str, number: int | None = None, reason: str | None = None) -> int:
    """Take away a version that was live; the only warm one unless its number is given. Its number."""
    warm = [version for version in _versions(store, name) if version.state is State.WARM]
    chosen = [version for version in warm if number is None or version.number == number]
    if len(chosen) != 1:
        there = ", ".join(str(version.number) for version in warm) or "none"
        raise UsageError(f"name the version of {name} to retire with --version; kept for a rollback: {there}")
    _take_away(store, "retire", chosen[0], reason)
    return chosen[0].number


def cancel(store: PostgresStore, name: str, reason: str | None = None) -> int:
    """Take away the version that is being filled, or is a candidate, and all it made. Its number."""
    version = _unfinished(store, name)
    _take_away(store, "cancel", version, reason)
    return version.number


def pause(store: PostgresStore, name: str) -> int:
    """Have the rebuild rest; running it again goes on. The version's number."""
    version = _unfinished(store, name)
    if version.state is State.CANDIDATE:
        raise UsageError(f"version {version.number} of {name} is filled already; there is nothing to pause")
    with store.connection() as connection:
        mark(connection, name, version.number, State.PAUSED)
    return version.number


def audit(store: PostgresStore, name: str | None = None) -> list[Entry]:
    """Who changed what, newest first."""
    with store.connection() as connection:
        rows = connection.execute(
            "select at, who, action, projection, from_version, to_version, reason, details from tillroll.audit "
            "where %(name)s::text is null or projection = %(name)s order by id desc",
            {"name": name},
        ).fetchall()
    return [Entry(*row) for row in rows]


def _switch(
    store: PostgresStore,
    action: str,
    old: Version,
    new: Version,
    reason: str | None,
    details: Mapping[str, Any],
) -> None:
    left = State.CANDIDATE if action == "rollback" else State.WARM

    def also(connection: Connection) -> None:
        mark(connection, old.name, old.number, left)
        mark(connection, new.name, new.number, State.LIVE)
        enter(connection, action, old.name, old.number, new.number, reason, details)

    with office(store, old.name):
        switch(store, by_its_code(old), by_its_code(new), also)


def _take_away(store: PostgresStore, action: str, version: Version, reason: str | None) -> None:
    with standing_still(store, version.name, version.number), store.connection() as connection:
        drop(connection, version.name, version.number)
        enter(connection, action, version.name, version.number, None, reason, {})


def enter(
    connection: Connection, action: str, name: str, old: int | None, new: int | None, reason: str | None,
    details: Mapping[str, Any],
) -> None:  # fmt: skip
    """An entry for the audit."""
    who = f"{_user()}@{socket.gethostname()}"
    connection.execute(
        "insert into tillroll.audit (who, action, projection, from_version, to_version, reason, details) "
        "values (%s || ' as ' || current_user, %s, %s, %s, %s, %s, %s)",
        [who, action, name, old, new, reason, json.dumps(details)],
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "nobody"


def _versions(store: PostgresStore, name: str) -> list[Version]:
    with store.connection() as connection:
        versions = find(connection, name)
    if not versions:
        raise UsageError(
            f"{name} has no version in this store; `tillroll project {name} --once` makes the first one"
        )
    return versions


def _one(versions: Sequence[Version], name: str, state: State) -> Version:
    for version in versions:
        if version.state is state:
            return version
    raise UsageError(f"{name} has no {state} version; `tillroll replay status` has all")


def _unfinished(store: PostgresStore, name: str) -> Version:
    for version in reversed(_versions(store, name)):
        if version.state in (State.FILLING, State.PAUSED, State.CANDIDATE):
            return version
    raise UsageError(f"{name} has no rebuild; `tillroll replay status` has all")


def _behind(log: EventLog, store: PostgresStore, version: Version) -> int:
    projection = by_its_code(version)
    at = store.positions(projection)
    return extent.between(at, extent.ends(log, projection.topics()))


def _new_dead_letters(store: PostgresStore, live: Version, candidate: Version) -> int:
    with store.connection() as connection:
        row = connection.execute(
            "select count(*) from (select topic, partition, log_offset from tillroll.dead_letters "
            "where projection = %(name)s and version = %(new)s and not discarded except select topic, partition, log_offset "
            "from tillroll.dead_letters where projection = %(name)s and version = %(old)s) as new",
            {"name": live.name, "new": candidate.number, "old": live.number},
        ).fetchone()
    return int(row[0]) if row else 0
