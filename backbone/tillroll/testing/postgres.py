"""A pytest plugin: PostgreSQL databases for tests. ``pytest_plugins = ["tillroll.testing.postgres"]``.

The server is the one that TILLROLL_TEST_POSTGRES names (a URL whose user may create databases), else an
embedded one in a temporary directory, shared by the whole run.
"""

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tillroll.database import Database
from tillroll.store.embedded import embedded_postgres

__all__ = ["SERVER", "passing_directory", "postgres_server", "postgres_url"]

SERVER = "TILLROLL_TEST_POSTGRES"


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a PostgreSQL server."""
    return os.environ.get(SERVER) or embedded_postgres(passing_directory())


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database; it is dropped afterwards, open connections or not."""
    name = f"test_{uuid.uuid4().hex}"
    _run(postgres_server, f"create database {name}")
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    _run(postgres_server, f"drop database {name} with (force)")


def passing_directory() -> Path:
    """A directory for a server: removed after that has stopped, at the end of the process.

    Outside pytest's own: another run clears old ones away, and shuts out the server's user where tests run as root.
    """
    directory = Path(tempfile.mkdtemp(prefix="tillroll-test-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)  # last registered is first to run
    return directory


def _run(url: str, statement: str) -> None:
    connection = Database(url).connect()
    try:
        connection.execute(statement.encode())
    finally:
        connection.close()
