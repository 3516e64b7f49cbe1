"""With --json a command that fails leaves stdout empty or valid JSON, and says why in one line on stderr."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tillroll import settings
from tillroll.cli.main import cli
from tillroll.cli.reference import commands

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
PATHS = [
    context.command_path.removeprefix("tillroll ")
    for context in commands()
    if not isinstance(context.command, click.Group)
]

FAILING = {
    "dead-letters discard": ("1", 1),
    "dead-letters list": ("", 1),
    "dead-letters retry": ("1", 1),
    "dead-letters show": ("1", 1),
    "demo": ("", 1),
    "explain": ("nothing sku=1 --column on_hand", 2),
    "export": ("store_availability rows.csv", 1),
    "history": ("nothing sku=1", 2),
    "import online-retail": ("nothing.csv", 1),
    "import tpcds": ("", 1),
    "new projection": ("1", 2),
    "project": ("--once", 1),
    "publish": ("nothing.ndjson", 1),
    "query": ("store_availability", 1),
    "react file": ("out --on Nothing", 2),
    "replay audit": ("store_availability", 1),
    "replay cancel": ("store_availability", 1),
    "replay compare": ("store_availability", 1),
    "replay pause": ("store_availability", 1),
    "replay promote": ("store_availability", 1),
    "replay rebuild": ("store_availability", 1),
    "replay retire": ("store_availability", 1),
    "replay rollback": ("store_availability", 1),
    "replay status": ("", 1),
    "schema docs": ("", 2),
    "schema generate": ("", 2),
    "status": ("", 1),
    "verify": ("store_availability", 1),
    "what-if": ("nothing --with nothing.py", 2),
}
"""Arguments with which a command fails where log and store are down, and its exit code."""

OTHERWISE = {"doctor", "schema check", "schema list"}
"""Commands that report instead of failing, or need nothing that can be down."""


@pytest.fixture(autouse=True)
def nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder; a log and a store that do not answer."""
    monkeypatch.chdir(tmp_path)
    for name in (settings.DATA, settings.PROJECTIONS):
        monkeypatch.delenv(name, raising=False)
    for name in (settings.LOG, settings.STORE):
        monkeypatch.setenv(name, NOWHERE)


def run(path: str, arguments: str) -> Result:
    return CliRunner().invoke(cli, [*path.split(), *arguments.split(), "--json"])


def test_every_command_is_tried() -> None:
    assert set(PATHS) == FAILING.keys() | OTHERWISE
    assert not FAILING.keys() & OTHERWISE


@pytest.mark.parametrize("path", FAILING)
def test_a_failure_is_one_line_on_stderr_and_nothing_on_stdout(path: str) -> None:
    arguments, code = FAILING[path]
    result = run(path, arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("tillroll: ")
    assert (result.stderr.count("\n"), result.stderr[-1]) == (1, "\n")
    assert "unexpected" not in result.stderr


@pytest.mark.parametrize("path", PATHS)
def test_what_cannot_be_meant_is_the_same_and_exit_code_2(path: str) -> None:
    result = run(path, "--nothing")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "--nothing" in result.stderr


def test_what_the_doctor_finds_wrong_is_json() -> None:
    result = run("doctor", "")
    states = {check["name"]: check["state"] for check in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert "ok" not in (states["log"], states["store"])
    assert result.stderr.count("\n") <= 1


def test_a_contract_that_is_not_there_is_one_line() -> None:
    result = run("schema check", "--against nothing")
    assert result.exit_code in (1, 2)
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
