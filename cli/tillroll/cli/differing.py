"""Two versions' rows side by side, for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tillroll.cli.output import cell, table

if TYPE_CHECKING:
    from tillroll.store.comparing import Changed, TableDifference

__all__ = ["difference_table", "sample_tables"]


def difference_table(tables: "Iterable[TableDifference]", left: str, right: str) -> Iterator[str]:
    """How many rows of each table differ, and in which columns."""
    yield from table(
        ("table", f"{left} rows", f"{right} rows", "added", "removed", "changed", "columns that differ"),
        [
            (t.table, t.live_rows, t.candidate_rows, t.added, t.removed, t.changed, _columns(t))
            for t in tables
        ],
    )


def sample_tables(samples: "Mapping[str, Sequence[Changed]]", left: str, right: str) -> Iterator[str]:
    """Rows that differ, a line per column."""
    for name, rows in samples.items():
        if rows:
            yield ""
            yield f"{name}:"
            yield from table(("key", "column", left, right), [line for row in rows for line in _lines(row)])


def _columns(told: "TableDifference") -> str:
    if not told.comparable:
        return "another key: rows cannot be matched" if told.added is None else ""
    return ", ".join(f"{name} {rows:,}" for name, rows in told.columns.items())


def _lines(row: "Changed") -> Iterator[tuple[str, str, str, str]]:
    """A line per column that differs; one line where a row is missing on one side."""
    key = " ".join(f"{name}={cell(value)}" for name, value in row.key.items())
    if row.live is None or row.candidate is None:
        yield key, "(row)", "" if row.live is None else "there", "" if row.candidate is None else "there"
        return
    for name in row.candidate:
        if name in row.live and row.live[name] != row.candidate[name]:
            yield key, name, cell(row.live[name]), cell(row.candidate[name])
