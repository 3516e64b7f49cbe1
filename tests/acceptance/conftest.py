"""The command line on a database of its own, in an empty folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tillroll import settings
from tillroll.cli.main import cli

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
