"""Rejected rows are counted by reason, and named where that is asked for."""

import io
import json

import polars as pl

from tillroll.services.histories import REJECT_FRAME, Rejects

ROWS = pl.DataFrame(
    [("a.csv", "row 1", "torn"), ("a.csv", "row 2", "burnt"), ("b.csv", "row 9", "torn")],
    REJECT_FRAME,
    orient="row",
)


def test_rows_are_counted_by_reason() -> None:
    rejects = Rejects()
    rejects.add(ROWS)
    rejects.add(ROWS[:1])
    assert rejects.counts == {"torn": 3, "burnt": 1}
    assert rejects.total == 4


def test_each_row_is_a_line_of_json_on_the_stream() -> None:
    stream = io.StringIO()
    rejects = Rejects(stream)
    rejects.add(ROWS[:2])
    rejects.add(ROWS[2:].with_columns(more=1))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines == ROWS.to_dicts()


def test_no_rows_leave_no_trace() -> None:
    stream = io.StringIO()
    rejects = Rejects(stream)
    rejects.add(ROWS[:0])
    assert rejects.counts == {}
    assert stream.getvalue() == ""
