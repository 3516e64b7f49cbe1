"""The servers of a run: one PostgreSQL, a fresh database for everybody, and a fresh Kafka broker per history."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tillroll.store.embedded import embedded_postgres
from tillroll.testing.broker import JavaBroker, free_port

__all__ = ["Stage", "stage"]


class Stage:
    """Where contenders play. directory: for all data, passing."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._postgres = embedded_postgres(directory)
        self._made = 0

    def database(self, template: str | None = None) -> str:
        """The URL of a fresh database, a copy of `template` if given (to which nobody may be connected)."""
        self._made += 1
        name = f"bench_{self._made}"
        source = f" template {_name(template)}" if template else ""
        self.execute(f"create database {name}{source}")
        return self._postgres.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Make room."""
        self.execute(f"drop database if exists {_name(url)} with (force)")

    def execute(self, statement: str) -> None:
        """A statement for the server as a whole."""
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            connection.execute(statement.encode())

    def version(self) -> str:
        """PostgreSQL's."""
        with psycopg.connect(self._postgres) as connection:
            return str(connection.info.server_version // 10_000)

    @contextmanager
    def kafka(self) -> Iterator[str]:
        """host:port of a broker of our own without topics; gone afterwards with its data."""
        with tempfile.TemporaryDirectory(dir=self.directory, ignore_cleanup_errors=True) as folder:
            broker = JavaBroker(Path(folder), free_port())
            broker.start()
            try:
                yield broker.address
            finally:
                broker.discard()


@contextmanager
def stage() -> Iterator[Stage]:
    """Servers for one run, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tillroll-bench-", ignore_cleanup_errors=True) as folder:
        yield Stage(Path(folder))


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
