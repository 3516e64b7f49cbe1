"""Down, out of reach, refused, too late: one line and an exit code; a running projector waits and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from click.testing import Result

from tillroll import settings
from tillroll.database import Database
from tillroll.events import event_id_for
from tillroll.store.embedded import embedded_postgres

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]


def stock(number: int) -> str:
    event = {
        "type": "StockReceived",
        "event_id": event_id_for("test", "StockReceived", str(number)),
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": "2026-03-14T09:30:00Z",
        "sku": "shoe-42",
        "location_id": "store-7",
        "quantity": 1,
    }
    return json.dumps(event) + "\n"


def execute(url: str, *statements: str) -> None:
    connection = Database(url).connect()
    try:
        for statement in statements:
            connection.execute(statement.encode())
    finally:
        connection.close()


NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.mark.parametrize(
    "command",
    [
        ["query", "x", "--store", NOWHERE],
        ["status", "--store", NOWHERE],
        ["project", "--once", "--store", NOWHERE],
        ["project", "--once", "--log", NOWHERE],
        ["dead-letters", "list", "--store", NOWHERE],
    ],
)
def test_what_is_down_is_one_line_with_what_and_where(tillroll: Tillroll, command: list[str]) -> None:
    result = tillroll(*command, code=1)
    assert result.stderr.count("\n") == 1
    assert "at 127.0.0.1:1/nothing does not answer" in result.stderr


def test_missing_rights_are_one_line(tillroll: Tillroll, postgres_url: str) -> None:
    execute(postgres_url, "create role guest login")
    try:
        parts = urlsplit(postgres_url)
        guest = urlunsplit(parts._replace(netloc=parts.netloc.replace("postgres", "guest", 1)))
        assert guest != postgres_url
        result = tillroll("project", "--once", "--store", guest, code=1)
        assert "refuses access: permission denied" in result.stderr
        assert result.stderr.count("\n") == 1
    finally:
        execute(postgres_url, "drop role guest")


def test_a_database_that_does_not_exist_is_one_line(tillroll: Tillroll, postgres_url: str) -> None:
    elsewhere = urlunsplit(urlsplit(postgres_url)._replace(path="/nowhere"))
    assert "create the database" in tillroll("query", "x", "--store", elsewhere, code=1).stderr


def test_a_position_older_than_the_log_is_refused_saying_what_is_missing(
    tillroll: Tillroll, postgres_url: str
) -> None:
    tillroll("publish", "-", input=stock(1))
    tillroll("project", "store_availability", "--once")
    tillroll("publish", "-", input="".join(map(stock, range(2, 6))))
    execute(
        postgres_url,
        "update tillroll_log.partitions set start_offset = 3 where topic = 'stock' and next_offset > 0",
        "delete from tillroll_log.batches",
    )
    result = tillroll("project", "store_availability", "--once", code=1)
    assert "2 events are missing" in result.stderr


def test_a_store_of_another_log_is_refused(tillroll: Tillroll, tmp_path: Path, postgres_url: str) -> None:
    tillroll("project", "--once")
    execute(postgres_url, "update tillroll_log.identity set identity = gen_random_uuid()")
    assert "another log" in tillroll("project", "--once", code=2).stderr


def test_an_unexpected_error_is_one_line_and_a_traceback_only_when_asked(
    tillroll: Tillroll, tmp_path: Path, postgres_url: str
) -> None:
    execute(postgres_url, "create schema tillroll")
    quiet = tillroll("query", "x", code=1)
    assert quiet.stderr.count("\n") == 1
    assert quiet.stderr.startswith("tillroll: unexpected ")
    assert "Traceback" in tillroll("query", "x", "-v", code=1).stderr


@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]])
def test_a_query_whose_output_is_closed_ends_without_a_word(
    tillroll: Tillroll, postgres_url: str, tmp_path: Path, options: list[str]
) -> None:
    tillroll("publish", "-", input="".join(map(stock, range(3))))
    tillroll("project", "--once")
    environment = os.environ | {settings.LOG: postgres_url, settings.STORE: postgres_url}
    program = [sys.executable, "-c", "from tillroll.cli.main import main; main()"]
    for redirected, code in ((">&-", 0), ("> /dev/null", 0), ("| true; exit ${PIPESTATUS[0]}", None)):
        words = [
            "bash",
            "-c",
            f'"$@" {redirected}',
            "bash",
            *program,
            "query",
            "store_availability",
            *options,
        ]
        done = subprocess.run(
            words, stderr=subprocess.PIPE, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.stderr == ""
        assert done.returncode in ((0, 1) if code is None else (code,))


def test_a_closed_input_is_one_line_and_exit_code_1(postgres_url: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", "from tillroll.cli.main import main; main()", "publish", "-"]
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *words],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {settings.LOG: postgres_url},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tillroll: - cannot be read")
    assert done.stderr.count("\n") == 1


# --- a running projector ---------------------------------------------------------------------------------


class Running:
    """`tillroll project store_availability` in a process of its own."""

    def __init__(self, environment: dict[str, str], folder: Path):
        self._errors = folder / "stderr"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from tillroll.cli.main import main; main()",
                    "project",
                    "store_availability",
                ],
                env=os.environ | environment,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(how)
        out, _ = self.process.communicate(timeout=30)
        return out


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Starts a projector on the database of this URL."""
    running: list[Running] = []

    def on(url: str) -> Running:
        running.append(Running({settings.LOG: url, settings.STORE: url}, tmp_path))
        return running[-1]

    yield on
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_projector_follows_the_log_and_stops_cleanly_when_asked(
    tillroll: Tillroll, rows: Rows, postgres_url: str, start: Callable[[str], Running], how: signal.Signals
) -> None:
    tillroll("publish", "-", input=stock(1))
    tillroll("project", "store_availability", "--once")
    projector = start(postgres_url)
    tillroll("publish", "-", input=stock(2))
    eventually(lambda: rows("store_availability")[0]["on_hand"] == 2)
    out = projector.stop(how)
    assert projector.process.returncode == 0
    assert out.splitlines()[-1].split()[:3] == ["store_availability", "ended", "1"]


def test_a_projector_waits_while_the_database_is_down_and_goes_on(
    tillroll: Tillroll,
    rows: Rows,
    start: Callable[[str], Running],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(tmp_path_factory.mktemp("fragile"))
    for name in (settings.LOG, settings.STORE):
        monkeypatch.setenv(name, server.url)
    tillroll("publish", "-", input=stock(1))
    projector = start(server.url)
    eventually(lambda: "store_availability" in tillroll("status", "--json").stdout)
    eventually(
        lambda: (
            json.loads(tillroll("status", "store_availability", "--json").stdout)["projections"][0]["lag"]
            == 0
        )
    )
    server.stop()
    eventually(lambda: "waiting: " in projector.errors)
    assert projector.process.poll() is None
    server.start()
    eventually(lambda: "going on after " in projector.errors)
    tillroll("publish", "-", input=stock(2))
    eventually(lambda: rows("store_availability")[0]["on_hand"] == 2)
    assert projector.errors.count("waiting: ") == 1
    assert projector.errors.count("going on") == 1
    projector.stop()
    assert projector.process.returncode == 0
    server.stop()


class Server:
    """A PostgreSQL server that a test may stop and start."""

    def __init__(self, folder: Path):
        from tillroll.store import embedded

        self.url = embedded_postgres(folder)
        self._server = embedded._servers[(folder / "postgres").resolve()]

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        eventually(self._is_up)

    def _is_up(self) -> bool:
        try:
            self._server.ensure_postgres_running()
        except AssertionError:  # the server of before is not quite gone
            return False
        return True
