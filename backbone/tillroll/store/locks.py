"""Who may touch a version: locks that end with the process that holds them.

Whoever projects a version holds its lock shared (`InUse`); who wants it to stand still, to compare it or to take it
away, takes the lock for itself (`standing_still`). One at a time rebuilds or compares a projection (`office`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from tillroll.database import Connection
from tillroll.errors import TillrollError, UsageError
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State

__all__ = ["InUse", "office", "standing_still"]

OFFICE_LOCK = 0x7469_6C62  # "tilb": with the hash of the projection's name
VERSION_LOCK = 0x7469_6C76  # "tilv": with the hash of the version's schema
ASK_SECONDS = 0.5  # between two looks at whether a version is still to be projected
STILL_PATIENCE = 60.0  # seconds that its projectors have to come to rest


class InUse:
    """Held by whoever projects a version; `still` says, now and then, whether to go on.

    The lock is let go and taken again there, so that who waits for the version to stand still gets it.
    """

    def __init__(self, store: PostgresStore, name: str, number: int):
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
def office(store: PostgresStore, name: str) -> Iterator[None]:
    """One at a time rebuilds or compares `name`. Raises UsageError when somebody does."""
    with store.connection():
        connection = store.database.connect(autocommit=True)
    try:
        with store.database.translated():
            row = connection.execute(
                "select pg_try_advisory_lock(%s, hashtext(%s))", [OFFICE_LOCK, name]
            ).fetchone()
        if row is None or not row[0]:
            raise UsageError(
                f"another process rebuilds or compares {name} at this moment; see `tillroll replay status {name}`"
            )
        try:
            yield
        finally:  # free on return, while a server takes its time over a connection that ends
            with suppress(psycopg.Error):
                connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", [OFFICE_LOCK, name])
    finally:
        connection.close()


@contextmanager
def standing_still(
    store: PostgresStore, name: str, number: int, patience: float = STILL_PATIENCE
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
