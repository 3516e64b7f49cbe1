"""Folding: events through a projection's handlers into contributions; a bad event never takes the rest down."""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.errors import HandlerFailed, TooManyFailures
from tillroll.log.decode import Decoded, Reject, decode_records
from tillroll.log.port import Batch, Position
from tillroll.log.records import RECORD_FRAME
from tillroll.projection.declare import Deltas, Projection, TableSpec
from tillroll.projection.frame import ORDINAL, ROW, Frame
from tillroll.projection.merge import (
    AT,
    ORDER,
    TableDeltas,
    contributions,
    needs_order,
    needs_time,
    order_key,
    reduce,
    weigh,
)

__all__ = ["Failure", "FailureBudget", "Folded", "Folder", "combine"]

VOID = "TransactionVoided"


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that could not be applied: where it stands and why; it becomes a dead letter."""

    position: Position
    record: str | None
    event_id: str | None
    error: str
    message: str
    traceback: str
    value: bytes | None = None


@dataclass
class Folded:
    """Contributions by table name, what failed, and how many events were taken."""

    deltas: dict[str, TableDeltas] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    events: int = 0


class FailureBudget:
    """Tells bad events from a bad handler.

    More than 100 failures, or more than 1 % of the events (once there are enough of them to tell), among
    the last 10,000 events or the current batch, whichever is more, and it is the handler (design.md 5).
    """

    MOST, SHARE, WINDOW, FEW = 100, 0.01, 10_000, 10

    def __init__(self) -> None:
        self._events = self._failures = 0.0

    def spend(self, events: int, failures: Sequence[Failure], projection: str) -> None:
        """Count them in; raises TooManyFailures, naming the first failure, when the budget is gone."""
        keep = max(0.0, 1 - events / self.WINDOW)
        self._events = self._events * keep + events
        self._failures = self._failures * keep + len(failures)
        if failures and self._failures > min(self.MOST, max(self.FEW, self.SHARE * self._events)):
            first = failures[0]
            raise TooManyFailures(
                f"{projection}: {len(failures)} of {events} events failed, the first at {first.position.topic}/"
                f"{first.position.partition} offset {first.position.offset} ({first.record}): {first.error}: "
                f"{first.message}; nothing of this batch is applied: mend the handler, then run again"
            )


class Folder:
    """Runs one projection's handlers."""

    def __init__(self, projection: Projection, contract: Contract):
        self._projection, self._contract = projection, contract
        self.wanted = projection.records() | {VOID}

    def fold(self, decoded: Decoded, batches: Sequence[Batch]) -> Folded:
        """Contributions of every event, reduced; events that raise are found by halving and left out.

        Training events are passed over; what a TransactionVoided names is counted with weight -1.
        """
        out = Folded(failures=[_rejected(reject) for reject in decoded.rejects])
        parts: dict[str, list[TableDeltas]] = {}
        for record, frame in decoded.frames.items():
            out.events += len(frame)
            live = frame.filter(~pl.col("training"))
            for found in self._applied(record, live, batches, out.failures):
                for name, deltas in found.items():
                    parts.setdefault(name, []).extend(deltas)
        out.deltas = {name: reduce(self._projection.table(name), given) for name, given in parts.items()}
        return out

    def unstorable(self, record: str, event: pl.DataFrame, batches: Sequence[Batch]) -> Failure:
        """The failure of an event (a frame of one row) whose values the store cannot hold."""
        reason = "a value that the store cannot hold: NUL in a text, a number or a date out of range"
        return _failed(HandlerFailed(reason), record, event, batches)

    def _applied(
        self, record: str, events: pl.DataFrame, batches: Sequence[Batch], failures: list[Failure]
    ) -> Iterator[Mapping[str, list[TableDeltas]]]:
        if not len(events):
            return
        try:
            yield self._void(events) if record == VOID else self._handle(record, events, 1)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            if len(events) == 1:
                failures.append(_failed(error, record, events, batches))
                return
            half = len(events) // 2
            yield from self._applied(record, events[:half], batches, failures)
            yield from self._applied(record, events[half:], batches, failures)

    def _handle(self, record: str, events: pl.DataFrame, weight: int) -> dict[str, list[TableDeltas]]:
        out: dict[str, list[TableDeltas]] = {}
        frame = Frame.of_events(events, record)
        for name in self._projection.handlers.get(record, ()):
            for table, rows in self._by_table(getattr(self._projection, name)(frame)):
                checked = _checked(table, rows.polars, events)
                out.setdefault(table.name, []).append(contributions(table, weigh(table, checked, weight)))
        return out

    def _by_table(self, deltas: Deltas) -> Iterator[tuple[TableSpec, Frame]]:
        if isinstance(deltas, Mapping):
            for kind, frames in deltas.items():
                spec = self._projection.table_of(kind)
                yield from ((spec, frame) for frame in _frames(frames))
        else:
            yield from ((self._projection.tables[0], frame) for frame in _frames(deltas))

    def _void(self, events: pl.DataFrame) -> dict[str, list[TableDeltas]]:
        """The events that a void names, through their handlers with weight -1."""
        named = (
            events.select("_offset", "_recorded_at", "voided")
            .explode("voided", empty_as_null=False)
            .unnest("voided")
        )
        records = named.select(
            pl.lit(0, pl.UInt32).alias("_batch"),
            "_offset",
            "_recorded_at",
            pl.lit(None, pl.Binary).alias("key"),
            pl.col("event").str.decode("base64", strict=True).alias("value"),
        ).match_to_schema(RECORD_FRAME)
        decoded = decode_records(records, [_NOWHERE], self._contract, self._projection.records())
        if decoded.rejects:
            raise HandlerFailed(f"an event that the void names cannot be read: {decoded.rejects[0].reason}")
        out: dict[str, list[TableDeltas]] = {}
        for record, frame in decoded.frames.items():
            for name, deltas in self._handle(record, frame.filter(~pl.col("training")), -1).items():
                out.setdefault(name, []).extend(deltas)
        return out


_NOWHERE = Batch("", 0, 0, 0, 0, 0, None, b"")


def combine(projection: type[Projection], parts: Iterable[Folded]) -> Folded:
    """Several folds as one, reduced again."""
    out = Folded()
    deltas: dict[str, list[TableDeltas]] = {}
    for part in parts:
        out.failures += part.failures
        out.events += part.events
        for name, found in part.deltas.items():
            deltas.setdefault(name, []).append(found)
    out.deltas = {
        name: found[0] if len(found) == 1 else reduce(projection.table(name), found)
        for name, found in deltas.items()
    }
    return out


# --- a handler's answer ------------------------------------------------------------------------------


def _frames(given: Frame | Sequence[Frame]) -> Sequence[Frame]:
    frames = [given] if isinstance(given, Frame) else given
    for frame in frames:
        if not isinstance(frame, Frame):
            raise HandlerFailed(
                f"a handler returns Frames made from the one it is given, not {type(frame).__name__}"
            )
    return frames


def _checked(table: TableSpec, rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The rows with ORDER and AT, once key and columns are what the table declares."""
    names = {column.name for column in table.columns} | {f"{c.name}_count" for c in table.values}
    if unknown := set(rows.columns) - names - {ROW, ORDINAL}:
        raise HandlerFailed(f"table {table.name} has no column {', '.join(sorted(unknown))}")
    if missing := set(table.key) - set(rows.columns):
        raise HandlerFailed(f"table {table.name} needs its key; {', '.join(sorted(missing))} is missing")
    keys = rows.select(pl.col(name).cast(table.column(name).dtype) for name in table.key)
    if empty := [name for name in table.key if keys[name].null_count()]:
        raise HandlerFailed(f"null in key column {', '.join(empty)} of table {table.name}; '' names nothing")
    return _with_time(table, rows.with_columns(keys), events)


def _with_time(table: TableSpec, rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """ORDER and AT, as far as the given columns need them, from the events that the rows stem from."""
    ordered = needs_order(table, rows.columns)
    if ordered or needs_time(table, rows.columns):
        rows = rows.with_columns(events["occurred_at"].gather(rows[ROW]).alias(AT))
    if ordered:
        origin = events.select("source_seq", "event_id")[rows[ROW]].with_columns(rows[AT], rows[ORDINAL])
        key = order_key(pl.col(AT), pl.col("source_seq"), pl.col("event_id"), pl.col(ORDINAL))
        rows = rows.with_columns(origin.select(key.alias(ORDER)))
    return rows.drop(ROW, ORDINAL)


# --- failures ----------------------------------------------------------------------------------------


def _rejected(reject: Reject) -> Failure:
    return Failure(reject.position, None, None, "MalformedEvent", reject.reason, "", reject.value)


def _failed(error: Exception, record: str, event: pl.DataFrame, batches: Sequence[Batch]) -> Failure:
    batch = batches[event["_batch"][0]]
    position = Position(batch.topic, batch.partition, event["_offset"][0])
    trace = "".join(traceback.format_exception(error))
    return Failure(position, record, event["event_id"][0], type(error).__name__, str(error), trace)
