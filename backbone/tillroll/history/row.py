"""Rows of a table through history: the cells explained, and how one changed event by event."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from tillroll.errors import UsageError
from tillroll.history.explain import Explanation, RowParts, cell, explain
from tillroll.history.past import PastEvent, origin_of
from tillroll.history.pushdown import texts_of
from tillroll.history.scan import Chunk, Slice
from tillroll.history.view import History
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.fold import Folder, Traced
from tillroll.projection.merge import AT, ORDER, TableDeltas, contributions, finish, reduce
from tillroll.projection.values import value_of

__all__ = ["Change", "changes", "explained", "key_of", "parts_of", "parts_of_rows", "table_of"]


@dataclass(frozen=True, slots=True)
class Change(PastEvent):
    """An event that touched a row, and the row after it, derived columns included."""

    row: Mapping[str, Any]


def table_of(name: str, projections: Iterable[type[Projection]]) -> tuple[type[Projection], TableSpec]:
    """The table whose view is called `name`, or the only one of the projection of that name.

    Raises UsageError naming the tables where there is none.
    """
    known = list(projections)
    for projection in known:
        for table in projection.tables:
            if name == table.view or (name == projection.name and len(projection.tables) == 1):
                return projection, table
    for projection in known:
        if name == projection.name or name in projection.views:
            raise UsageError(
                f"{name} is made of several tables; name one of them: {_told(projection.tables)}"
            )
    raise UsageError(
        f"there is no table {name!r}; there are {_told(t for each in known for t in each.tables)}"
    )


def _told(tables: Iterable[TableSpec]) -> str:
    return ", ".join(f"{table.view} ({', '.join(table.key)})" for table in tables)


def key_of(table: TableSpec, where: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The key that (column, text) give, typed. Raises UsageError where it is not all of the key."""
    given = dict(where)
    if len(given) < len(where) or given.keys() != set(table.key):
        wanted = " ".join(f"{name}=..." for name in table.key)
        raise UsageError(f"a row of {table.view} is named by its whole key, each column once: {wanted}")
    return {name: value_of(name, table.column(name).type, given[name]) for name in table.key}


def explained(
    history: History,
    projection: type[Projection],
    table: TableSpec,
    key: Mapping[str, Any],
    column: str,
    slice_: Slice,
) -> Explanation:
    """The cell `column` of the row `key`, and every event behind it. Raises UsageError as explain.explain does."""
    cell(table, column)
    return explain(projection, parts_of(history, projection, table, key, slice_), column)


def parts_of(
    history: History,
    projection: type[Projection],
    table: TableSpec,
    key: Mapping[str, Any],
    slice_: Slice,
) -> RowParts:
    """What the events of the slice gave to the row; of the others only those are decoded that hold its key's text."""
    (parts,) = parts_of_rows(history, projection, [(table, key)], slice_)
    return parts


def parts_of_rows(
    history: History,
    projection: type[Projection],
    rows: Sequence[tuple[TableSpec, Mapping[str, Any]]],
    slice_: Slice,
) -> list[RowParts]:
    """The same of several rows, table and key each, in one reading."""
    found, tracer = [RowParts(table, key) for table, key in rows], _Tracer(history, projection)
    texts = [texts_of(projection, history.contract, table, key) for table, key in rows]
    for chunk in history.scan(projection.records(), slice_, texts if all(texts) else None):
        traced = tracer.trace(chunk)
        for parts in found:
            parts.take(traced, chunk.batches)
    return found


class _Tracer:
    """Traces chunks one after the other; events that a handler cannot take are left out, as in every fold."""

    def __init__(self, history: History, projection: type[Projection]):
        self._gone = set[str]()
        self._folder = Folder(projection(), history.contract, self._gone.intersection)

    def trace(self, chunk: Chunk) -> list[Traced]:
        try:
            traced = list(self._folder.trace(chunk.decoded, chunk.batches))
        except (Exception, SystemExit, pl.exceptions.PanicException):  # noqa: BLE001 - a handler may raise anything
            sound = self._without_failing(chunk)
            traced = list(self._folder.trace(sound.decoded, sound.batches))
        for each in traced:
            if each.weight < 0:
                self._gone |= set(each.events["event_id"])
        return traced

    def _without_failing(self, chunk: Chunk) -> Chunk:
        positions = {failure.position for failure in self._folder.fold(chunk.decoded, chunk.batches).failures}
        failed = pl.DataFrame(
            [
                (index, at.offset)
                for index, batch in enumerate(chunk.batches)
                for at in positions
                if batch.origin == (at.topic, at.partition) and at.offset < batch.next_offset
            ],
            schema={"_batch": pl.UInt32, "_offset": pl.Int64},
            orient="row",
        )
        frames = {
            record: frame.join(failed, on=["_batch", "_offset"], how="anti", maintain_order="left")
            for record, frame in chunk.decoded.frames.items()
        }
        return replace(chunk, decoded=replace(chunk.decoded, frames=frames))


# --- event by event ------------------------------------------------------------------------------------

_EVENT = ("_topic", "_partition", "_offset", "_event_id")
_ORDERS = {
    "occurred": ("_occurred_at", "_recorded_at", *_EVENT),
    "recorded": ("_recorded_at", *_EVENT),
}


def changes(parts: RowParts, by: str = "occurred", last: int | None = None) -> Iterator[Change]:
    """The row after each event that touched it, by time of occurrence or of recording; the last ones only if told."""
    rows = parts.rows()
    if not len(rows):
        return
    events = rows.sort(_ORDERS[by]).partition_by(_EVENT, maintain_order=True)
    before = 0 if last is None else max(0, len(events) - last)
    state = [_given(parts.table, event) for event in events[:before]]
    for event in events[before:]:
        state = [reduce(parts.table, [*state, _given(parts.table, event)])]
        yield _change(event.row(0, named=True), finish(parts.table, state[0]))


def _given(table: TableSpec, rows: pl.DataFrame) -> TableDeltas:
    given = [name for name in rows.columns if not name.startswith("_") or name in (ORDER, AT)]
    return contributions(table, rows.select(given))


def _change(event: Mapping[str, Any], row: pl.DataFrame) -> Change:
    return Change(**origin_of(event), row=row.row(0, named=True))
