"""A log as Polars frames."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import polars as pl
from polars.io.plugins import register_io_source

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import Contract
from tillroll.errors import UsageError
from tillroll.events import Event
from tillroll.history import row, view
from tillroll.history.answer import key_columns, owner
from tillroll.history.explain import Part
from tillroll.history.moments import moment
from tillroll.history.row import Change
from tillroll.history.scan import Chunk, Slice
from tillroll.log.port import EventLog, Position
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.evaluate import read_views
from tillroll.projection.registry import view_names
from tillroll.store.postgres import PostgresStore

__all__ = ["History"]

Moment = str | date | datetime
"""ISO 8601 text, a time, or a date, which means its end in UTC; what has no zone is in UTC."""

_PLACE = pl.Schema(
    {
        "topic": pl.String(),
        "partition": pl.Int64(),
        "offset": pl.Int64(),
        "recorded_at": pl.Datetime("us", "UTC"),
    }
)


class _Closeable(Protocol):
    def close(self) -> None: ...


class History:
    """What a log holds, as of any time. Made by tillroll.analysis.open.

    as_of keeps what had happened by then, as the events say; known_at what had been recorded by then.
    """

    def __init__(
        self,
        log: EventLog,
        contract: Contract,
        store: PostgresStore | None,
        projections: Mapping[str, type[Projection]],
        closes: Sequence[_Closeable] = (),
    ):
        self._history = view.History(log, contract, store)
        self._contract, self._projections, self._closes = contract, projections, closes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was opened."""
        for each in self._closes:
            each.close()

    @property
    def event_types(self) -> list[str]:
        """Names of all types of events, sorted."""
        return sorted(self._contract.records)

    @property
    def read_models(self) -> list[str]:
        """Names of all views, sorted."""
        return sorted(name for each in self._projections.values() for name in view_names(each))

    def events(
        self, kind: str | type[Event], as_of: Moment | None = None, known_at: Moment | None = None
    ) -> pl.LazyFrame:
        """All events of one type, in the newest version of it, in front where each stands in the log.

        Lazy: the log is read when it is collected, as it is then, piece by piece, with filters and columns taken
        early, and no further than `head` needs. Training events and such that a void takes back are there too; bytes
        that are no event are not. Raises UsageError on a type that is not in the contract.
        """
        record = kind if isinstance(kind, str) else kind.record
        if record not in self._contract.records:
            raise UsageError(f"there is no event type {record!r}; there are {', '.join(self.event_types)}")
        record, slice_ = self._contract.newest_record(record), _slice(as_of, known_at)

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            for chunk in self._history.scan([record], slice_):
                rows = _placed(chunk, record)
                if rows is None:
                    continue
                rows = rows if predicate is None else rows.filter(predicate)
                rows = rows if n_rows is None else rows.head(n_rows)
                yield rows if columns is None else rows.select(columns)
                if n_rows is not None and (n_rows := n_rows - len(rows)) <= 0:
                    return

        schema = pl.Schema({**_PLACE, **frame_schema(self._contract.latest(record))})
        return register_io_source(read, schema=schema, explain_name=record)

    def read_model(
        self, name: str, as_of: Moment | None = None, known_at: Moment | None = None
    ) -> pl.DataFrame:
        """The rows of a view, sorted by key, as the events of the slice make them.

        Raises UsageError on an unknown view, TooManyFailures where its handlers are wrong; single events that they
        cannot take are left out.
        """
        projection = owner(name, self._projections.values())
        rows = self._history.past(projection, _slice(as_of, known_at)).views[name]
        keys = key_columns(projection, name)
        return rows.sort([column for column in rows.columns if column in keys], maintain_order=True)

    def explain(
        self,
        name: str,
        key: Mapping[str, Any],
        column: str,
        as_of: Moment | None = None,
        known_at: Moment | None = None,
    ) -> pl.DataFrame:
        """The events behind one cell of a table, a row each: what it gave, what came of that, the cell after it.

        The last `total` is the cell. See history.explain.Part for the columns; `key` is the whole key of the row.
        """
        projection, table = self._table(name, key)
        found = row.explained(self._history, projection, table, key, column, _slice(as_of, known_at))
        of = pl.DataFrame([_plain(part) for part in found.parts], infer_schema_length=None)
        return of if len(of) else pl.DataFrame(schema=_names(Part))

    def changes(
        self,
        name: str,
        key: Mapping[str, Any],
        as_of: Moment | None = None,
        known_at: Moment | None = None,
        by: str = "occurred",
    ) -> pl.DataFrame:
        """A row of a table after each event that touched it, by time of occurrence or (``by="recorded"``) of recording.

        What tells of the event stands in columns that begin with an underscore.
        """
        projection, table = self._table(name, key)
        if by not in ("occurred", "recorded"):
            raise UsageError(f"by={by!r}: changes come by 'occurred' or by 'recorded'")
        parts = row.parts_of(self._history, projection, table, key, _slice(as_of, known_at))
        told = list(row.changes(parts, by))
        if not told:
            row_schema = read_views(projection, {})[table.view].schema
            return pl.DataFrame(schema={f"_{name}": pl.Null() for name in _names(Change)} | dict(row_schema))
        events = pl.DataFrame([_plain(change) for change in told], infer_schema_length=None).drop("row")
        rows = pl.DataFrame([change.row for change in told], infer_schema_length=None)
        return pl.concat([events.rename(lambda name: f"_{name}"), rows], how="horizontal")

    def _table(self, name: str, key: Mapping[str, Any]) -> tuple[type[Projection], TableSpec]:
        projection, table = row.table_of(name, self._projections.values())
        kinds = {column: table.column(column).type for column in table.key}
        if key.keys() != kinds.keys() or any(not isinstance(key[c], kinds[c]) for c in kinds):
            wanted = ", ".join(f"{column!r}: {kind.__name__}" for column, kind in kinds.items())
            raise UsageError(f"a row of {table.view} is named by its whole key: {{{wanted}}}")
        return projection, table


def _slice(as_of: Moment | None, known_at: Moment | None) -> Slice:
    return Slice(_moment(as_of), _moment(known_at))


def _moment(given: Moment | None) -> datetime | None:
    try:
        return None if given is None else moment(given)
    except (ValueError, OverflowError):
        raise UsageError(f"{given!r} is no time; write 2026-11-23, or 2026-11-23T09:30Z") from None


def _placed(chunk: Chunk, record: str) -> pl.DataFrame | None:
    """The events of the chunk with topic and partition instead of the index of their batch."""
    frame = chunk.decoded.frames.get(record)
    if frame is None:
        return None
    places = pl.DataFrame(
        [(batch.topic, batch.partition) for batch in chunk.batches],
        schema={"topic": pl.String, "partition": pl.Int64},
        orient="row",
    )
    rest = frame.drop("_batch").rename({"_offset": "offset", "_recorded_at": "recorded_at"})
    return pl.concat([places[frame["_batch"]], rest], how="horizontal")


def _names(kind: type[Part] | type[Change]) -> list[str]:
    told = [field.name for field in fields(kind) if field.name not in ("position", "row")]
    return [*Position._fields, *told]


def _plain(told: Part | Change) -> dict[str, Any]:
    found = {field.name: getattr(told, field.name) for field in fields(told)}
    return {**found.pop("position")._asdict(), **found}
