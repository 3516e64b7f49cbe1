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
from tillroll.projection.declare import VOID, Column, Deltas, Projection, Rule, TableSpec
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

# Half a million events a commit, ten rows each, of this size: half of what 64 bits hold. Polars' sums wrap silently.
SUMMABLE = 10**12
ROWS_AN_EVENT = 1_000_000


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
        """Count them in; raises TooManyFailures, naming the first failure, when the budget is gone.

        Bytes that were no event never met a handler, so they say nothing about it.
        """
        failures = [failure for failure in failures if failure.record is not None]
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
        except (Exception, SystemExit, pl.exceptions.PanicException) as error:  # noqa: BLE001 - a handler may raise anything
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
                found = out.setdefault(table.name, [])
                checked = _checked(table, _in_turn(rows, len(found)), events)
                found.append(contributions(table, weigh(table, checked, weight)))
        return out

    def _by_table(self, deltas: Deltas) -> Iterator[tuple[TableSpec, Frame]]:
        """The frames of a handler's answer that have rows, each with its table."""
        tables = self._projection.tables
        if not isinstance(deltas, Mapping):
            if len(tables) > 1:
                names = ", ".join(table.name for table in tables)
                raise HandlerFailed(
                    f"a handler of several tables ({names}) returns frames by table: {{table: frame}}"
                )
            yield from ((tables[0], frame) for frame in _frames(deltas))
            return
        for kind, frames in deltas.items():
            spec = self._projection.tables_by_class.get(kind)
            if spec is None:
                raise HandlerFailed(
                    f"{kind!r} is no table of {self._projection.name}; give {type(self._projection).__name__}.<Table>"
                )
            yield from ((spec, frame) for frame in _frames(frames))

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


def _frames(given: Frame | Sequence[Frame]) -> Iterator[Frame]:
    frames = given if isinstance(given, list | tuple) else [given]
    for frame in frames:
        if not isinstance(frame, Frame) or not {ROW, ORDINAL} <= set(frame.polars.columns):
            raise HandlerFailed(
                f"a handler returns Frames made from the one it is given, not {type(frame).__name__}"
            )
        if len(frame):
            yield frame


def _in_turn(frame: Frame, turn: int) -> pl.DataFrame:
    """The rows, with ordinals behind those of the frames before: no two rows of an event share a place in time."""
    return frame.polars.with_columns(pl.col(ORDINAL).cast(pl.Int64) + turn * ROWS_AN_EVENT)


def _checked(table: TableSpec, rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The rows with ORDER and AT, once key and columns are what the table declares."""
    declared = {column.name: column for column in table.columns}
    declared |= {f"{column.name}_count": column for column in table.ruled(Rule.LEVEL)}
    if unknown := set(rows.columns) - declared.keys() - {ROW, ORDINAL}:
        raise HandlerFailed(f"table {table.name} has no column {', '.join(sorted(unknown))}")
    if missing := set(table.key) - set(rows.columns):
        raise HandlerFailed(f"table {table.name} needs its key; {', '.join(sorted(missing))} is missing")
    given = [name for name in rows.columns if name in declared]
    typed = [_fitting(table, name, declared[name], rows[name]) for name in given]
    return _with_time(table, rows.with_columns(typed), events)


def _fitting(table: TableSpec, name: str, column: Column, values: pl.Series) -> pl.Series:
    """`values` in the type that `column` declares. Raises HandlerFailed where that would change what they say."""
    where = f"column {name} of table {table.name}"
    if not _may_become(values.dtype, column.dtype):
        raise HandlerFailed(f"{where} is {column.type.__name__}, and the handler gives {values.dtype}")
    try:
        values = values.cast(column.dtype)
    except pl.exceptions.PolarsError as error:
        raise HandlerFailed(f"{where} is {column.type.__name__}: {error}") from None
    if column.rule is Rule.KEY and values.null_count():
        raise HandlerFailed(f"null in key {where}; '' names nothing")
    if column.rule in (Rule.SUM, Rule.LEVEL) and not values.is_between(-SUMMABLE, SUMMABLE).all():
        raise HandlerFailed(f"{where}: a contribution beyond {SUMMABLE} cannot be summed safely")
    if column.type is float and not values.is_finite().all():
        raise HandlerFailed(f"{where}: NaN and infinity are no values")
    return values


def _may_become(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a cast keeps the meaning: no text from numbers, no whole number from a fraction, no zone guessed."""
    if given == wanted or given == pl.Null:
        return True
    if wanted == pl.Int64:
        return given.is_integer() or given == pl.Boolean
    if wanted == pl.Float64:
        return given.is_numeric()
    if wanted == pl.String:
        return isinstance(given, pl.Categorical | pl.Enum)
    return isinstance(given, pl.Datetime) and isinstance(wanted, pl.Datetime) and given.time_zone is not None


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


def _failed(error: BaseException, record: str, event: pl.DataFrame, batches: Sequence[Batch]) -> Failure:
    batch = batches[event["_batch"][0]]
    position = Position(batch.topic, batch.partition, event["_offset"][0])
    trace = "".join(traceback.format_exception(error))
    return Failure(position, record, event["event_id"][0], type(error).__name__, str(error), trace)
