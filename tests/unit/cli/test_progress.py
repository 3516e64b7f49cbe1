"""Progress where there is no terminal: a line now and then."""

from tillroll.cli.progress import PLAIN_SECONDS, Plain


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
