"""The events behind rows under two rules: what each event gave to a row by the one and by the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tillroll.history.explain import RowParts
from tillroll.history.past import ORIGIN, PastEvent, origin_of
from tillroll.history.row import parts_of_rows
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.projection.declare import Projection, TableSpec

__all__ = ["Behind", "Rule", "behind"]

Given = tuple[Mapping[str, Any], ...]
"""What handlers made of one event for one row: per row of theirs, the columns that it gives a value to."""


@dataclass(frozen=True, slots=True)
class Behind(PastEvent):
    """An event behind a row. live, candidate: what it gave by either rule."""

    live: Given
    candidate: Given

    @property
    def differs(self) -> bool:
        """Whether the rules make different things of it."""
        return self.live != self.candidate


@dataclass(frozen=True, slots=True)
class Rule:
    """A projection, and the part of history that it is applied to."""

    projection: type[Projection]
    slice: Slice


def behind(
    history: History, live: Rule, candidate: Rule, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[list[Behind]]:
    """For each of `rows`, table and key, the events that gave it anything by either rule, by time of occurrence.

    A table that one of the rules lacks gives nothing there. The log is read once by each rule.
    """
    by_live, by_candidate = (_given(history, rule, rows) for rule in (live, candidate))
    return [list(_merged(old, new)) for old, new in zip(by_live, by_candidate, strict=True)]


_Event = tuple[Any, ...]


def _given(
    history: History, rule: Rule, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[dict[_Event, Given]]:
    tables = {table.name: table for table in rule.projection.tables}
    mine = [(tables[name], key) for name, key in rows if name in tables]
    found = iter(parts_of_rows(history, rule.projection, mine, rule.slice) if mine else [])
    return [_by_event(next(found)) if name in tables else {} for name, _ in rows]


def _by_event(parts: RowParts) -> dict[_Event, Given]:
    out = dict[_Event, Given]()
    for row in parts.rows().iter_rows(named=True):
        event = tuple(row[name] for name in ORIGIN)
        out[event] = (*out.get(event, ()), _values(parts.table, row))
    return out


def _values(table: TableSpec, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in row.items()
        if not name.startswith("_") and name not in table.key and value is not None
    }


def _merged(live: Mapping[_Event, Given], candidate: Mapping[_Event, Given]) -> Iterator[Behind]:
    for event in sorted({*live, *candidate}):
        origin = origin_of(dict(zip(ORIGIN, event, strict=True)))
        yield Behind(**origin, live=live.get(event, ()), candidate=candidate.get(event, ()))
