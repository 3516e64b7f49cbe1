"""Every command says what it does and takes the same options; nothing slow is imported to say so."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tillroll import settings
from tillroll.cli.main import cli
from tillroll.cli.reference import commands

CONTEXTS = list(commands())
LEAVES = [context for context in CONTEXTS if not isinstance(context.command, click.Group)]

NAMES = {
    "tillroll dead-letters discard",
    "tillroll dead-letters list",
    "tillroll dead-letters retry",
    "tillroll dead-letters show",
    "tillroll demo",
    "tillroll doctor",
    "tillroll explain",
    "tillroll export",
    "tillroll history",
    "tillroll import online-retail",
    "tillroll import tpcds",
    "tillroll new projection",
    "tillroll project",
    "tillroll publish",
    "tillroll query",
    "tillroll react file",
    "tillroll replay audit",
    "tillroll replay cancel",
    "tillroll replay compare",
    "tillroll replay pause",
    "tillroll replay promote",
    "tillroll replay rebuild",
    "tillroll replay retire",
    "tillroll replay rollback",
    "tillroll replay status",
    "tillroll schema check",
    "tillroll schema docs",
    "tillroll schema generate",
    "tillroll schema list",
    "tillroll status",
    "tillroll verify",
    "tillroll what-if",
}


def path(context: click.Context) -> str:
    return context.command_path


def test_the_commands_are_those_of_the_design() -> None:
    assert {context.command_path for context in LEAVES} == NAMES


@pytest.mark.parametrize("context", CONTEXTS, ids=path)
def test_a_command_says_what_it_does(context: click.Context) -> None:
    words = context.command_path.split()[1:]
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0
    assert context.command.help
    assert context.command.help.splitlines()[0].rstrip().endswith((".", ")."))
    assert context.command.help.splitlines()[0] in " ".join(result.stdout.split())


@pytest.mark.parametrize("context", CONTEXTS, ids=path)
def test_every_option_says_what_it_means(context: click.Context) -> None:
    options = [param for param in context.command.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("context", LEAVES, ids=path)
def test_every_command_takes_json_and_verbose(context: click.Context) -> None:
    taken = {name for param in context.command.params for name in param.opts}
    assert {"--json", "-v", "--verbose"} <= taken


@pytest.mark.parametrize("context", LEAVES, ids=path)
def test_shared_options_come_with_their_variable_and_with_each_other(context: click.Context) -> None:
    found = {param.opts[0]: param for param in context.command.params if isinstance(param, click.Option)}
    variables = {
        "--data": settings.DATA,
        "--log": settings.LOG,
        "--store": settings.STORE,
        "--projections": settings.PROJECTIONS,
    }
    for name in variables.keys() & found.keys():
        option = found[name]
        assert (option.envvar, option.show_envvar) == (variables[name], True)
    assert ("--data" in found) == bool({"--log", "--store"} & found.keys())


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["query"],
        ["publish"],
        ["query", "x", "--nothing"],
        ["query", "x", "--limit", str(2**63)],
        ["import", "tpcds", "--scale", "big"],
        ["import", "tpcds", "--scale", "0"],
        ["schema", "x"],
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("tillroll: ")
    assert "--help`" in result.stderr


NO_TEXT = [["query", "\udcff"], ["query", "x", "sku=\udcff"], ["\udcff"], ["--\udcff"]]
NO_TEXT += [[*context.command_path.split()[1:], "\udcff"] for context in LEAVES]
NO_TEXT += [
    [*context.command_path.split()[1:], option.opts[0], "a\udcff"]
    for context in LEAVES
    for option in context.command.params
    if isinstance(option, click.Option) and not option.is_flag
]


@pytest.mark.parametrize("arguments", NO_TEXT)
def test_bytes_that_are_no_text_are_named_and_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "\\udcff" in result.stderr
    assert "no text" in result.stderr


@pytest.mark.parametrize("name", [settings.DATA, settings.LOG, settings.STORE, settings.PROJECTIONS])
def test_bytes_in_the_environment_that_are_no_text_are_named_and_exit_code_2(name: str) -> None:
    result = CliRunner().invoke(cli, ["project", "--once"], env={name: "a\udcff"})
    assert result.exit_code == 2
    assert result.stderr == "tillroll: 'a\\udcff' holds bytes that are no text; write it in UTF-8\n"


def test_no_command_at_all_shows_what_there_is() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 2
    assert "dead-letters" in result.stderr


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(cli, ["--version"]).stdout.startswith("tillroll 0.")


FULL = Path("/dev/full")
SLOW = ("polars", "psycopg", "pydantic", "pyarrow", "rich", "fastavro", "kafka", "duckdb")


def test_nothing_slow_is_imported_before_a_command_runs() -> None:
    code = f"import sys, tillroll.cli.main; print(*(set({SLOW!r}) & sys.modules.keys()))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment()
    )
    assert found.stdout.split() == []


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("options", [[], ["--json"], ["--json", "-v"]])
def test_output_to_a_full_device_is_one_line_and_exit_code_1(options: list[str]) -> None:
    words = [sys.executable, "-c", "from tillroll.cli.main import main; main()", "schema", "list", *options]
    with FULL.open("wb") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=_environment()
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tillroll: no space left to write the output")


def _environment() -> dict[str, str]:
    """Ours, with the source roots that pytest put on our path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
