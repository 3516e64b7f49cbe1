"""What a query writes, row by row: whole, or nothing when the view fails."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tillroll.cli.query import csv_lines, json_lines
from tillroll.errors import TillrollError
from tillroll.store.reading import Answer, ViewColumn

COLUMNS = [ViewColumn("sku", "text"), ViewColumn("units", "bigint")]


@pytest.mark.parametrize(("rows", "size"), [([], 0), ([("hat", 1)], 1), ([("hat", 1), ("cap", None)], 2)])
def test_rows_are_one_json_array(rows: list[tuple[Any, ...]], size: int) -> None:
    found = json.loads("".join(json_lines(Answer(COLUMNS, iter(rows)))))
    assert [(row["sku"], row["units"]) for row in found] == rows
    assert len(found) == size


@pytest.mark.parametrize("lines", [json_lines, csv_lines])
def test_nothing_is_written_when_the_view_fails_at_its_first_row(
    lines: Callable[[Answer], Iterator[str]],
) -> None:
    written: list[str] = []
    with pytest.raises(TillrollError, match="division by zero"):
        written.extend(lines(Answer(COLUMNS, _failing())))
    assert written == []


def _failing() -> Iterator[tuple[Any, ...]]:
    raise TillrollError("division by zero")
    yield ()
