"""Tables for people, JSON for programs."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from tillroll.cli.output import as_json, cell, count, table


def test_columns_are_aligned_numbers_to_the_right() -> None:
    assert list(table(["sku", "units"], [("hat", 7), ("shoe-42", 1200)], width=80)) == [
        "sku      units",
        "-------  -----",
        "hat          7",
        "shoe-42   1200",
    ]


def test_null_is_nothing_and_keeps_a_column_numeric() -> None:
    assert list(table(["n"], [(None,), (10,)], width=80))[2:] == ["", "10"]


def test_one_long_value_does_not_widen_every_line() -> None:
    lines = list(table(["sku", "all"], [("a", "x" * 5_000), ("b", "y")], width=1_000))
    assert max(map(len, lines)) <= 210
    assert lines[2].endswith("xxx...")


def test_a_table_without_rows_is_its_head() -> None:
    assert list(table(["sku", "units"], [], width=80)) == ["sku  units", "---  -----"]


def test_rows_too_wide_for_the_screen_become_blocks() -> None:
    assert list(table(["sku", "description"], [("hat", "felt"), ("cap", None)], width=12)) == [
        "-- 1 --",
        "sku          hat",
        "description  felt",
        "-- 2 --",
        "sku          cap",
        "description",
    ]


def test_text_cannot_break_lines_or_command_the_terminal() -> None:
    assert list(table(["name"], [("a\nb\x1b[31m",)], width=80))[2] == "a\\nb\\x1b[31m"


def test_cells_read_naturally() -> None:
    noon = datetime(2026, 3, 14, 12, tzinfo=UTC)
    told = [
        cell(value)
        for value in (None, True, 7, Decimal("2.50"), Decimal(3), date(2026, 3, 14), noon, ["a", 1])
    ]
    assert told == ["", "true", "7", "2.5", "3", "2026-03-14", "2026-03-14T12:00:00Z", '["a", 1]']


def test_times_in_json_are_utc() -> None:
    local = datetime(2026, 3, 14, 13, tzinfo=timezone(timedelta(hours=1)))
    assert json.loads(as_json({"at": local})) == {"at": "2026-03-14T12:00:00Z"}


def test_dataclasses_are_objects_in_json() -> None:
    @dataclass
    class Row:
        sku: str
        on: date

    assert json.loads(as_json([Row("hat", date(2026, 3, 14))])) == [{"sku": "hat", "on": "2026-03-14"}]


def test_counts_have_a_plural() -> None:
    assert [count(n, "event") for n in (0, 1, 12_000)] == ["0 events", "1 event", "12,000 events"]
