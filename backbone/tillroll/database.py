"""Connections to PostgreSQL: pools, and its errors in tillroll's words. psycopg's pool is used here alone."""

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from tillroll.errors import (
    AccessRefused,
    ConfigurationError,
    DiskFull,
    LogUnavailable,
    StoreUnavailable,
    TillrollError,
    Unavailable,
)

__all__ = ["Connection", "Cursor", "Database", "translated"]

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

OLDEST_SERVER = 15  # UNLOGGED, multiranges and MERGE as used here; tested on 15 and 18
CONNECT_SECONDS = 10.0

# The pool reports every attempt to connect; what matters reaches the caller as an error. Whoever configures logging
# sees them all the same, but nobody else finds them on stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): connection exceptions, too many
# connections, a server that is shutting down, has crashed or is not up yet, a session that sat idle for too long.
LOST = ("08", "53300", "57P01", "57P02", "57P03", "57P05")


class Database:
    """A lazily opened pool of connections to one PostgreSQL database, safe to share between threads.

    what: "store" or "log"; errors name it. Raises StoreUnavailable / LogUnavailable, AccessRefused,
    ConfigurationError (bad address, server older than PostgreSQL 15), DiskFull.
    """

    def __init__(self, conninfo: str, what: str = "store", size: int = 8):
        self.conninfo, self.what = conninfo, what
        try:
            self._where = _where(conninfo)
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(
                f"the {what}'s address is not a PostgreSQL URL: {error}; write postgresql://user@host/database"
            ) from None
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo, min_size=0, max_size=size, open=False, timeout=CONNECT_SECONDS, reconnect_timeout=0
        )
        self._checked = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A pooled connection; its transaction commits at the end, or rolls back on an error."""
        with self.translated():
            if not self._checked:
                self._check()
            with self._pool.connection() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A pooled connection for single statements that only read: no transaction is begun or ended around them."""
        with self.connection() as connection:
            connection.autocommit = True
            try:
                yield connection
            finally:
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    connection.autocommit = False

    def connect(self, autocommit: bool = True) -> Connection:
        """A connection outside the pool, for the one who listens or holds locks on it; close it yourself."""
        with self.translated():
            return psycopg.connect(self.conninfo, autocommit=autocommit, connect_timeout=int(CONNECT_SECONDS))

    def translated(self) -> AbstractContextManager[None]:
        """What happens inside raises tillroll's errors, naming this database."""
        return translated(self.what, self._where)

    def close(self) -> None:
        """Close every pooled connection."""
        self._pool.close()

    def _check(self) -> None:
        """Connect once by hand: a pool hides the reason why it cannot connect."""
        with self.connect() as probe:
            version = probe.info.server_version // 10_000
        if version < OLDEST_SERVER:
            raise ConfigurationError(
                f"the {self.what} at {self._where} is PostgreSQL {version}; tillroll needs {OLDEST_SERVER} or newer"
            )
        self._pool.open()
        self._checked = True


@contextmanager
def translated(what: str, where: str) -> Iterator[None]:
    """Turn the driver's errors into tillroll's; those it has no word for pass through unchanged."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        ours = _translate(error, what, where)
        if ours is None:
            raise
        raise ours from error


def _translate(error: Exception, what: str, where: str) -> TillrollError | None:
    place, text = f"the {what} at {where}", _first_line(error)
    if isinstance(error, pg.DiskFull | pg.InsufficientResources):
        return DiskFull(f"{place} cannot write: {text}; free space there, then run this again")
    if isinstance(error, pg.InvalidAuthorizationSpecification | pg.InsufficientPrivilege) or (
        any(word in text for word in ("password", "authentication", 'role "', "pg_hba.conf"))
    ):
        return AccessRefused(f"{place} refuses access: {text}; check user, password and rights")
    if isinstance(error, pg.InvalidCatalogName) or 'database "' in text:
        return ConfigurationError(f"{place}: {text}; create the database or name another one")
    lost = isinstance(error, PoolTimeout) or (
        isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08").startswith(LOST)
    )
    return _unavailable(what)(f"{place} does not answer: {text}; is it running?") if lost else None


def _unavailable(what: str) -> type[Unavailable]:
    return LogUnavailable if what == "log" else StoreUnavailable


def _first_line(error: Exception) -> str:
    """What happened, without where (we say that ourselves) and without libpq's advice in the lines below."""
    text = str(error).strip().partition("\n")[0]
    return (
        re.sub(r"^(connection (failed|is bad): )?connection to server .* failed: (FATAL: +)?", "", text)
        or type(error).__name__
    )


def _where(conninfo: str) -> str:
    parts = conninfo_to_dict(conninfo)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    port = f":{parts['port']}" if "port" in parts else ""
    return f"{host}{port}/{parts.get('dbname', '')}"
