"""Conditions of a query: taken apart, and read by the type of their column."""

from datetime import UTC, date, datetime

import pytest

from tillroll.cli.query import parse_conditions
from tillroll.errors import UsageError
from tillroll.store.reading import ViewColumn, typed


def test_a_condition_is_split_at_its_first_equals_sign() -> None:
    assert parse_conditions(["sku=a=b", "location_id="]) == [("sku", "a=b"), ("location_id", "")]


@pytest.mark.parametrize("condition", ["sku", "=7", ""])
def test_what_is_no_condition_is_refused(condition: str) -> None:
    with pytest.raises(UsageError, match="COLUMN=VALUE"):
        parse_conditions([condition])


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("text", "007", "007"),
        ("bigint", "-7", -7),
        ("numeric", "2.5", 2.5),
        ("boolean", "True", True),
        ("date", "2026-03-14", date(2026, 3, 14)),
        ("timestamp with time zone", "2026-03-14T09:30:00Z", datetime(2026, 3, 14, 9, 30, tzinfo=UTC)),
        ("timestamp with time zone", "2026-03-14", datetime(2026, 3, 14, tzinfo=UTC)),
    ],
)
def test_a_value_is_read_by_the_type_of_its_column(type_: str, text: str, value: object) -> None:
    assert typed(ViewColumn("column", type_), text) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("bigint", "2.5"),
        ("bigint", str(2**63)),
        ("boolean", "1"),
        ("boolean", "yes"),
        ("date", "14.03.2026"),
        ("timestamp with time zone", "noon"),
        ("timestamp with time zone", "2026-03-14T09:30+99:99"),
        ("timestamp with time zone", "2026-03-14T09:30+00:00:30"),
        ("double precision", "much"),
        ("text", "a\0b"),
        ("jsonb", "[]"),
    ],
)
def test_another_value_is_refused_naming_the_column(type_: str, text: str) -> None:
    with pytest.raises(UsageError, match="column"):
        typed(ViewColumn("column", type_), text)
