"""Progress where there is no terminal: a line now and then."""

import re
from io import StringIO

import pytest
from rich.console import Console

from tillroll.cli.progress import PLAIN_SECONDS, Plain, bars_on, meter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_comes_every_few_seconds_with_rate_and_time_left() -> None:
    lines: list[str] = []
    clock = Clock()
    plain = Plain(lines.append, clock)
    plain.begin("import", 1000, "rows")
    for _ in range(4):
        clock.now += PLAIN_SECONDS / 2
        plain.advance("import", 100)
    assert lines == [
        "import: 200 of 1,000 rows, 40 rows/s, 20 s left",
        "import: 400 of 1,000 rows, 40 rows/s, 15 s left",
    ]


def test_without_a_total_there_is_no_time_left() -> None:
    lines: list[str] = []
    clock = Clock()
    plain = Plain(lines.append, clock)
    plain.begin("publish", None, "lines")
    clock.now = 10.0
    plain.advance("publish", 5000)
    assert lines == ["publish: 5,000 lines, 500 lines/s"]


def test_short_work_says_nothing() -> None:
    lines: list[str] = []
    plain = Plain(lines.append, Clock())
    plain.begin("publish", 1, "lines")
    plain.advance("publish", 1)
    plain.end("publish")
    assert lines == []


def test_on_a_terminal_bars_tell_amount_total_and_rate_and_messages_stay_whole() -> None:
    out = StringIO()
    with bars_on(Console(file=out, force_terminal=True, width=80)) as bars:
        bars.begin("order_status", 1000, "events")
        bars.advance("order_status", 250)
        bars.say(
            "one long line that no terminal of eighty columns could ever hold without a break: [bold]as it is[/bold]"
        )
        bars.end("order_status")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert re.search(r"order_status .* 250 of 1,000 events, [\d,]+/s", text)
    assert (
        "tillroll: one long line that no terminal of eighty columns could ever hold without a break: [bold]as it is[/bold]\n"
        in text
    )


def test_where_stderr_is_no_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with meter() as display:
        display.say("waiting")
    assert capsys.readouterr().err == "tillroll: waiting\n"
