"""`tillroll explain` and `tillroll history`: why a number is what it is, and how it came to be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.events import event_name, event_object, event_place
from tillroll.cli.moments import slice_of, with_times
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import cell, say, show, table
from tillroll.cli.query import parse_conditions

if TYPE_CHECKING:
    from tillroll.history.explain import Explanation, Part
    from tillroll.history.row import Change

__all__ = ["explain", "history"]

CHANGES = 50
"""Changes that a table shows unless --limit says otherwise; JSON gives all."""


@click.command()
@click.argument("name")
@click.argument("conditions", nargs=-1, required=True, metavar="COLUMN=VALUE...")
@click.option("--column", required=True, help="The column of that row to explain.")
@with_times
@with_options("log", "store", "projections")
def explain(
    given: Given,
    name: str,
    conditions: tuple[str, ...],
    column: str,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """The events behind one number, which add up to it.

    NAME is the view of a table, such as store_availability_stock, and COLUMN=VALUE its whole key. Of each event:
    what it gave, what became of it (adds, counts, superseded by a newer count, won, lost, repeats), and the cell
    after it.
    """
    from tillroll.history.row import explained, key_of, table_of

    projection, spec = table_of(name, given.read_model(name))
    key = key_of(spec, parse_conditions(conditions))
    found = explained(given.history(), projection, spec, key, column, slice_of(as_of, known_at))
    show(given, _Explained(spec.view, found))


@click.command()
@click.argument("name")
@click.argument("conditions", nargs=-1, required=True, metavar="COLUMN=VALUE...")
@click.option(
    "--by",
    type=click.Choice(["occurred", "recorded"]),
    default="occurred",
    show_default=True,
    help="The order of events: as they happened, or as they became known.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"The last changes only, that many; {CHANGES} unless given, all with --json.",
)
@with_times
@with_options("log", "store", "projections")
def history(
    given: Given,
    name: str,
    conditions: tuple[str, ...],
    by: str,
    limit: int | None,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """How a row changed, event by event: the row after each.

    NAME is the view of a table, such as store_availability_stock, and COLUMN=VALUE its whole key.
    """
    from tillroll.history.row import changes, key_of, parts_of, table_of

    projection, spec = table_of(name, given.read_model(name))
    key = key_of(spec, parse_conditions(conditions))
    parts = parts_of(given.history(), projection, spec, key, slice_of(as_of, known_at))
    last = limit if limit or given.json else CHANGES + 1
    found = list(changes(parts, by, last))
    more = last == CHANGES + 1 == len(found) and limit is None
    show(given, _Changed(spec.view, key, found[1:] if more else found))
    if more:
        say(f"these are the last {CHANGES} changes; --limit N shows more, --json all")


# --- how they look -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Explained:
    """An explanation."""

    view: str
    explanation: "Explanation"

    def text(self) -> Iterator[str]:
        """The parts, then the cell."""
        told = self.explanation
        head = ("occurred_at", "recorded_at", "event", told.column, "fate", "total", "source", "place")
        if told.parts:
            yield from table(head, map(_part_cells, told.parts))
            yield ""
        yield f"{_named(self.view, told.key)}: {told.column} = {_value(told.value)} ({told.rule.lower()})"
        if not told.parts:
            yield "no event gave it a value"

    def data(self) -> dict[str, Any]:
        """All of it."""
        told = self.explanation
        return {
            "view": self.view,
            "projection": told.projection,
            "key": told.key,
            "column": told.column,
            "rule": told.rule,
            "value": told.value,
            "parts": [event_object(part) for part in told.parts],
        }


@dataclass(frozen=True)
class _Changed:
    """The changes of a row."""

    view: str
    key: Mapping[str, Any]
    changes: "Sequence[Change]"

    def text(self) -> Iterable[str]:
        """A line an event."""
        if not self.changes:
            return [f"{_named(self.view, self.key)}: no event touched it"]
        columns = [name for name in self.changes[0].row if name not in self.key]
        rows = [
            [each.occurred_at, each.recorded_at, event_name(each), *(each.row[name] for name in columns)]
            for each in self.changes
        ]
        return table(("occurred_at", "recorded_at", "event", *columns), rows)

    def data(self) -> list[dict[str, Any]]:
        """An object an event."""
        return [event_object(each) for each in self.changes]


def _part_cells(part: "Part") -> list[Any]:
    return [
        part.occurred_at,
        part.recorded_at,
        event_name(part),
        part.value,
        part.fate,
        part.total,
        part.source,
        event_place(part),
    ]


def _value(value: Any) -> str:
    return "unknown" if value is None else cell(value) or "''"


def _named(view: str, key: Mapping[str, Any]) -> str:
    return " ".join([view, *(f"{name}={cell(value)}" for name, value in key.items())])
