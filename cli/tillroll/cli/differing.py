"""Two versions' rows side by side, for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tillroll.cli.events import event_name, event_object, event_place
from tillroll.cli.output import cell, table

if TYPE_CHECKING:
    from tillroll.history.behind import Behind
    from tillroll.services.replay.compare import RowEvents
    from tillroll.store.comparing import Changed, TableDifference

__all__ = ["difference_table", "event_tables", "row_events", "sample_tables", "verdict"]

EVENTS = 20
"""Events behind a row that a table shows, those that tell the rules apart first; JSON gives all."""


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


def event_tables(rows: "Iterable[RowEvents]", left: str, right: str) -> Iterator[str]:
    """The events behind each row, and what each gave to it."""
    for row in rows:
        shown = sorted(sorted(row.events, key=_alike)[:EVENTS], key=_when)
        yield ""
        yield f"behind {row.table} {_key(row.key)}:"
        yield from table(
            ("occurred_at", "event", "place", f"{left} gives", f"{right} gives", "event_id"),
            [
                (
                    each.occurred_at,
                    event_name(each),
                    event_place(each),
                    _given(each.live),
                    _given(each.candidate),
                    each.event_id,
                )
                for each in shown
            ],
        )
        if more := len(row.events) - len(shown):
            yield f"and {more:,} more; --json has all"


def row_events(row: "RowEvents") -> dict[str, Any]:
    """The row and its events as an object."""
    return {"table": row.table, "key": row.key, "events": [_object(each) for each in row.events]}


def _object(event: "Behind") -> dict[str, Any]:
    return event_object(event) | {"differs": event.differs}


def _alike(event: "Behind") -> bool:
    return not event.differs


def _when(event: "Behind") -> tuple[datetime, datetime]:
    return event.occurred_at, event.recorded_at


def _given(rows: Iterable[Mapping[str, Any]]) -> str:
    """What an event gave, column by column; nothing where it gave none."""
    return "; ".join(
        " ".join(f"{name}={cell(value)}" for name, value in row.items()) or "a row" for row in rows
    )


def _key(key: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={cell(value)}" for name, value in key.items())


def _columns(told: "TableDifference") -> str:
    """Columns with the rows in which they differ; those that one side lacks."""
    if not told.comparable:
        return "another key: rows cannot be matched"
    found = [f"{name} {rows:,}" for name, rows in told.columns.items()]
    if told.live_rows and told.only_live:
        found.append(f"without {' '.join(told.only_live)}")
    if told.candidate_rows and told.only_candidate:
        found.append(f"with {' '.join(told.only_candidate)}")
    return ", ".join(found)


def verdict(same: bool, same_columns: bool) -> str:
    """What it comes to, in a line."""
    if not same:
        return "readers would see these differences"
    return "the rows are the same" + ("" if same_columns else ", and readers would see other columns of them")


def _lines(row: "Changed") -> Iterator[tuple[str, str, str, str]]:
    """A line per column that differs; one line where a row is missing on one side."""
    key = _key(row.key)
    if row.live is None or row.candidate is None:
        yield key, "(row)", "" if row.live is None else "there", "" if row.candidate is None else "there"
        return
    for name in row.candidate:
        if name in row.live and row.live[name] != row.candidate[name]:
            yield key, name, cell(row.live[name]), cell(row.candidate[name])
