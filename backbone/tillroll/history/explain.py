"""Why a cell of a read model is what it is: the events behind it, one by one, and what came of each.

A pure function of what handlers gave (projection.fold.Traced): no store, no clock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import polars as pl

from tillroll.errors import UsageError
from tillroll.history.past import PastEvent, origin_of
from tillroll.log.port import Batch
from tillroll.projection.declare import Column, Projection, Rule, TableSpec
from tillroll.projection.fold import EVENT, Traced
from tillroll.projection.merge import AT, ORDER, contributions, finish, reduce

__all__ = ["Explanation", "Part", "RowParts", "cell", "explain"]


@dataclass(frozen=True, slots=True)
class Part(PastEvent):
    """What one event gave to a cell.

    value: a Sum's or Level's move, signed; a count; or the value offered. fate: ``adds``, ``counts``,
    ``superseded`` (a Level: by a newer count), ``won``, ``lost``, ``repeats`` (a Union). total: the cell after
    this and all parts before it.
    """

    value: Any
    fate: str
    total: Any


@dataclass(frozen=True, slots=True)
class Explanation:
    """A cell: its value, and the parts that make it, by time of occurrence; the last total is the value."""

    projection: str
    table: str
    key: Mapping[str, Any]
    column: str
    rule: str
    value: Any
    parts: Sequence[Part]


class RowParts:
    """The rows of one key of one table, gathered from what handlers gave, scan by scan."""

    def __init__(self, table: TableSpec, key: Mapping[str, Any]):
        self.table, self.key = table, key
        self._parts: list[pl.DataFrame] = []

    def take(self, traced: Iterable[Traced], batches: Sequence[Batch]) -> None:
        """Keep the rows of the key."""
        mine = pl.all_horizontal(
            pl.col(name) == pl.lit(self.key[name], self.table.column(name).dtype) for name in self.table.key
        )
        for each in traced:
            if each.table.name == self.table.name:
                rows = each.rows.filter(mine)
                if len(rows):
                    self._parts.append(_with_origin(rows, each, batches))

    def rows(self) -> pl.DataFrame:
        """All of them by time of occurrence, then by place in the log; what a void takes back when the void occurred."""
        if not self._parts:
            return pl.DataFrame()
        return pl.concat(self._parts, how="diagonal_relaxed").sort(
            "_occurred_at", "_recorded_at", "_topic", "_partition", "_offset", maintain_order=True
        )

    def value(self, rows: pl.DataFrame, column: str) -> Any:
        """The cell that `rows`, some of `rows()`, make: what the runtime's own merging gives."""
        given = [name for name in rows.columns if not name.startswith("_") or name in (ORDER, AT)]
        found = finish(self.table, reduce(self.table, [contributions(self.table, rows.select(given))]))
        value = found[column][0]
        return value.to_list() if isinstance(value, pl.Series) else value


def explain(projection: type[Projection], parts: RowParts, column: str) -> Explanation:
    """The cell `column` of the row that `parts` are of; without parts its value is None.

    Raises UsageError where the column is the key or derived, naming what it is made of.
    """
    declared, rows = cell(parts.table, column), parts.rows()
    value = parts.value(rows, column) if len(rows) else None
    told = _told([_Given(row, declared) for row in rows.iter_rows(named=True)], declared.rule)
    return Explanation(projection.name, parts.table.name, parts.key, column, declared.rule.name, value, told)


def cell(table: TableSpec, name: str) -> Column:
    """The column to explain. Raises UsageError, see `explain`."""
    for expression in table.derived:
        if expression.name == name:
            made_of = ", ".join(dict.fromkeys(pl.sql_expr(expression.sql).meta.root_names()))
            raise UsageError(
                f"{name} is derived ({' '.join(expression.sql.split())}); explain one of {made_of}"
            )
    known = {column.name: column for column in table.values}
    if name not in known:
        raise UsageError(f"events give {table.view} no column {name!r}, but {', '.join(known)}")
    return known[name]


def _with_origin(rows: pl.DataFrame, traced: Traced, batches: Sequence[Batch]) -> pl.DataFrame:
    """`rows` with the columns of the event that each stems from."""
    places = pl.DataFrame(
        [(batch.topic, batch.partition) for batch in batches],
        schema={"_topic": pl.String, "_partition": pl.Int64},
        orient="row",
    )
    origin = traced.events.select(
        "_batch",
        "_offset",
        "_recorded_at",
        _occurred_at=traced.told_at,
        _event_id="event_id",
        _source="source",
    )[rows[EVENT]]
    return pl.concat(
        [
            rows.drop(EVENT),
            places[origin["_batch"]],
            origin.drop("_batch").with_columns(_record=pl.lit(traced.record), _weight=pl.lit(traced.weight)),
        ],
        how="horizontal",
    )


# --- what came of each -----------------------------------------------------------------------------------


class _Given:
    """A row of a handler, as far as it concerns one column."""

    def __init__(self, row: Mapping[str, Any], column: Column):
        self.row = row
        self.value: Any = row.get(column.name)
        self.count: Any = row.get(f"{column.name}_count") if column.rule is Rule.LEVEL else None

    def part(self, value: Any, fate: str, total: Any) -> Part:
        return Part(**origin_of(self.row), value=value, fate=fate, total=total)


def _told(rows: Sequence[_Given], rule: Rule) -> list[Part]:
    match rule:
        case Rule.LEVEL:
            return _levelled(rows)
        case Rule.SUM:
            totals = accumulate(row.value for row in _with_value(rows))
            return [
                row.part(row.value, "adds", total)
                for row, total in zip(_with_value(rows), totals, strict=True)
            ]
        case Rule.APPEND | Rule.UNION:
            return _collected(_with_value(rows), rule)
        case _:
            return _chosen(_with_value(rows), _WINS[rule])


def _with_value(rows: Sequence[_Given]) -> list[_Given]:
    return [row for row in rows if row.value is not None]


_WINS: Mapping[Rule, Callable[[_Given, _Given], bool]] = {
    Rule.MIN: lambda new, old: bool(new.value < old.value),
    Rule.MAX: lambda new, old: bool(new.value > old.value),
    Rule.FIRST: lambda new, old: bool(new.row[ORDER] < old.row[ORDER]),
    Rule.LATEST: lambda new, old: bool(new.row[ORDER] > old.row[ORDER]),
}
"""Whether a value takes the place of the one that stands."""


def _chosen(rows: Sequence[_Given], wins: Callable[[_Given, _Given], bool]) -> list[Part]:
    """One value stands at any time; the one that stands in the end has won."""
    standing = list[_Given]()
    for row in rows:
        standing.append(row if not standing or wins(row, standing[-1]) else standing[-1])
    return [
        row.part(row.value, "won" if row is standing[-1] else "lost", at.value)
        for row, at in zip(rows, standing, strict=True)
    ]


def _collected(rows: Sequence[_Given], rule: Rule) -> list[Part]:
    out, total = list[Part](), list[Any]()
    for row in sorted(rows, key=lambda row: str(row.row[ORDER])) if rule is Rule.APPEND else rows:
        repeats = rule is Rule.UNION and row.value in total
        total = total if repeats else [*total, row.value]
        out.append(
            row.part(
                row.value, "repeats" if repeats else "adds", sorted(total) if rule is Rule.UNION else total
            )
        )
    return out


def _levelled(rows: Sequence[_Given]) -> list[Part]:
    """Counts and moves in the order of time, counts before the moves of their instant, which they include."""
    counts = [row for row in rows if row.count is not None]
    newest = max(counts, key=lambda row: str(row.row[ORDER]), default=None)
    out, total, counted = list[Part](), cast(Any, 0), None
    events = [(row.row[AT], 0, row) for row in counts] + [(row.row[AT], 1, row) for row in _with_value(rows)]
    for at, moves, row in sorted(events, key=lambda each: (each[0], each[1], str(each[2].row.get(ORDER)))):
        if not moves:
            total, counted = row.count, at
            out.append(row.part(row.count, "counts" if row is newest else "superseded", total))
            continue
        adds = newest is None or at > newest.row[AT]
        total += row.value if counted is None or at > counted else 0
        out.append(row.part(row.value, "adds" if adds else "superseded", total))
    return out
