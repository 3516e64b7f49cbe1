"""Times on the command line."""

from datetime import UTC, datetime

import click
import pytest

from tillroll.cli.moments import Moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-14", datetime(2026, 3, 14, 23, 59, 59, 999_999, UTC)),
        ("9999-12-31", datetime.max.replace(tzinfo=UTC)),
        ("2026-03-14T09:30", datetime(2026, 3, 14, 9, 30, tzinfo=UTC)),
        ("2026-03-14 09:30:01.5", datetime(2026, 3, 14, 9, 30, 1, 500_000, UTC)),
        ("2026-03-14T09:30:00Z", datetime(2026, 3, 14, 9, 30, tzinfo=UTC)),
        ("2026-03-14T09:30+02:00", datetime(2026, 3, 14, 7, 30, tzinfo=UTC)),
    ],
)
def test_a_bare_date_is_the_end_of_its_day_and_a_naive_time_is_utc(text: str, moment: datetime) -> None:
    assert Moment().convert(text, None, None) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2026-02-30",
        "2026-03-14T25:00",
        "0001-01-01T00:00+14:00",
        "2026-03-14T09:30+99:99",
        "2026-03-14T09:30+00:00:30",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time; write"):
        Moment().convert(text, None, None)
