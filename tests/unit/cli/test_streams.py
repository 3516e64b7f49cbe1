"""Standard streams that are closed: no traceback, nothing written elsewhere, an exit code that says what happened."""

import os
import subprocess
import sys

import pytest

COMMANDS = [["schema", "list"], ["schema", "list", "--json"], ["--help"], ["--version"]]
TILLROLL = [sys.executable, "-c", "from tillroll.cli.main import main; main()"]


def environment() -> dict[str, str]:
    """Ours, with the source roots that pytest put on our path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def shell(command: list[str], streams: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command with these redirections of a shell."""
    words = ["sh", "-c", f'exec "$@" {streams}', "sh", *TILLROLL, *command]
    return subprocess.run(
        words, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=environment()
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_that_nobody_wants_goes_nowhere(command: list[str]) -> None:
    done = shell(command, ">&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_that_nobody_reads_on_is_said_by_the_exit_code_alone(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = shell(command, "", stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_an_error_is_told_where_only_the_output_is_closed() -> None:
    done = shell(["nothing"], ">&-")
    assert done.returncode == 2
    assert done.stderr.startswith("tillroll: No such command")
    assert done.stderr.count("\n") == 1


def test_all_streams_may_be_closed() -> None:
    assert shell(["schema", "list"], "<&- >&- 2>&-").returncode == 0
    assert shell(["nothing"], "<&- >&- 2>&-").returncode == 2
