"""The command line on a database of its own, in an empty folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tillroll import settings
from tillroll.cli.main import cli
from tillroll.database import Database

Tillroll = Callable[..., Result]


@pytest.fixture
def tillroll(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tillroll:
    """Runs a command: `tillroll("query", "orders", code=0, input="")`; fails on another exit code."""
    monkeypatch.chdir(tmp_path)
    for name in (settings.DATA, settings.PROJECTIONS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(settings.LOG, postgres_url)
    monkeypatch.setenv(settings.STORE, postgres_url)

    def run(*args: object, code: int = 0, **options: Any) -> Result:
        result = CliRunner().invoke(cli, [str(arg) for arg in args], **options)
        assert result.exit_code == code, f"exit code {result.exit_code}: {result.stderr}"
        return result

    return run


@pytest.fixture
def rows(tillroll: Tillroll) -> Callable[..., list[dict[str, Any]]]:
    """Rows of a read model: `rows("channel_sales", "channel=web")`."""

    def query(*args: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(tillroll("query", *args, "--json").stdout)
        return found

    return query


@pytest.fixture
def everything(postgres_url: str) -> Callable[[], dict[str, Any]]:
    """All rows of all tables of the store, by table, but for when they were written; and the schemas there are."""

    def read() -> dict[str, Any]:
        with Database(postgres_url).connection() as connection:
            names = connection.execute(
                "select format('%I.%I', schemaname, tablename) from pg_tables "
                "where schemaname not in ('pg_catalog', 'information_schema', 'tillroll_log') order by 1"
            ).fetchall()
            found: dict[str, Any] = {}
            for (name,) in names:
                rows = connection.execute(
                    f"select to_jsonb(t) - 'updated_at' from {name} t".encode()
                ).fetchall()
                found[name] = sorted((list(row[0].values()) for row in rows), key=str)
            found["schemas"] = connection.execute(
                "select nspname from pg_namespace where nspname !~ '^pg_' order by 1"
            ).fetchall()
        return found

    return read
