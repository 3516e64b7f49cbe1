"""`tillroll react file`: new events become lines, once each, also when the process is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result
from tests.acceptance.test_cli_publish import received

Tillroll = Callable[..., Result]


def publish(tillroll: Tillroll, *numbers: int) -> None:
    tillroll("publish", "-", input="".join(json.dumps(received(n, quantity=n)) + "\n" for n in numbers))


def react(tillroll: Tillroll, *args: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        tillroll("react", "file", "acts.ndjson", "--on", "StockReceived", "--once", "--json", *args).stdout
    )
    return found


def quantities() -> list[int]:
    return [json.loads(line)["quantity"] for line in Path("acts.ndjson").read_text().splitlines()]


def test_only_what_comes_after_the_first_start_becomes_a_line(tillroll: Tillroll) -> None:
    publish(tillroll, 1)
    assert react(tillroll) == {"acted": 0, "passed": 0, "malformed": 0}
    publish(tillroll, 2, 3)
    assert react(tillroll)["acted"] == 2
    assert react(tillroll, "--replay") == {"acted": 0, "passed": 3, "malformed": 0}
    assert sorted(quantities()) == [2, 3]


def test_an_unknown_event_type_is_named(tillroll: Tillroll) -> None:
    result = tillroll("react", "file", "x", "--on", "StockReceeved", code=2)
    assert "no event type 'StockReceeved'" in result.stderr


def test_killed_at_any_moment_every_event_is_one_line(tillroll: Tillroll) -> None:
    react(tillroll)
    chance, published = random.Random(7), 0
    command = [
        sys.executable,
        "-c",
        "from tillroll.cli.main import main; main()",
        "react",
        "file",
        "acts.ndjson",
        "--on",
        "StockReceived",
    ]
    for _ in range(6):
        process = subprocess.Popen(
            command, env=os.environ.copy(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for _ in range(4):
            publish(tillroll, *range(published, published + 25))
            published += 25
            time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    react(tillroll)
    assert sorted(quantities()) == list(range(published))
