"""The embedded server, or who uses it, is killed: whoever comes next starts it again, and stops it at the end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tillroll.database import Database
from tillroll.errors import TillrollError
from tillroll.store import embedded
from tillroll.store.embedded import embedded_postgres

LIVES = """
import sys, time
from pathlib import Path
from tillroll.store.embedded import embedded_postgres
embedded_postgres(Path(sys.argv[1]))
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    embedded._servers.pop(tmp_path / "postgres").stop()


def _kill_server(data: Path) -> None:
    os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def _answers(url: str) -> bool:
    with Database(url).connect() as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_a_server_killed_under_us_is_up_when_we_ask_again(data: Path) -> None:
    assert _answers(embedded_postgres(data))
    for _ in range(2):
        _kill_server(data)
        assert _answers(embedded_postgres(data))


def test_a_server_killed_with_its_user_is_up_for_the_next_one(data: Path) -> None:
    with _user(data) as user:
        _kill_server(data)
        user.kill()
        assert _answers(embedded_postgres(data))


def _user(data: Path, then: str = "") -> subprocess.Popen[str]:
    """A process that uses the server, up."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", then or LIVES, str(data)]
    user = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "up\n"
    return user


@pytest.mark.parametrize("killed_first", [True, False], ids=["killed before", "killed while the other runs"])
def test_a_killed_user_does_not_keep_the_server_up(tmp_path: Path, killed_first: bool) -> None:
    with _user(tmp_path) as killed:
        if killed_first:
            killed.kill()
            killed.wait()
        with _user(tmp_path, LIVES.replace("time.sleep(60)", "sys.stdin.read()")) as last:
            killed.kill()
            killed.wait()
            assert (tmp_path / "postgres" / "postmaster.pid").exists()
            last.communicate("")
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def _while_it_is_made(data: Path, number: int) -> subprocess.Popen[str]:
    """A process group that gets this signal while it makes the data directory."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", LIVES, str(data)]
    first = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(data.glob("postgres.new-*/PG_VERSION")):
        assert first.poll() is None
    os.killpg(first.pid, number)
    return first


def test_a_first_start_that_is_killed_leaves_nothing_in_the_way(data: Path) -> None:
    for _ in range(2):
        with _while_it_is_made(data, signal.SIGKILL):
            pass
        assert not (data / "postgres").exists()
    assert _answers(embedded_postgres(data))
    with Database(embedded_postgres(data)).connect() as connection:
        assert connection.execute("show shared_buffers").fetchone() == ("256MB",)
    assert [each.name for each in data.iterdir()] == ["postgres"]


def test_a_first_start_that_is_interrupted_is_told_as_such(tmp_path: Path) -> None:
    with _while_it_is_made(tmp_path, signal.SIGINT) as first:
        _, told = first.communicate(timeout=30)
    assert told.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_come_back_is_an_error_after_a_while(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LEFT_OVER_SECONDS", 3.0)
    embedded_postgres(data)
    _kill_server(data)
    settings = data / "postgres" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(TillrollError, match=r"does not start: .*configuration file"):
        embedded_postgres(data)
    settings.write_text(good)
    assert _answers(embedded_postgres(data))
