"""Folding: events through a projection's handlers into contributions; a bad event never takes the rest down."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tillroll.contract.envelope import UUID_TEXT
from tillroll.contract.registry import VOID, Contract
from tillroll.errors import EventUnfit, HandlerFailed
from tillroll.log.decode import Decoded, decode_records
from tillroll.log.port import Batch
from tillroll.log.records import RECORD_FRAME
from tillroll.projection.answer import by_table, checked, in_turn
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.failures import Failure, failed, rejected
from tillroll.projection.frame import ORDINAL, ROW, Frame
from tillroll.projection.merge import TableDeltas, contributions, reduce, weigh
from tillroll.projection.values import value_of

__all__ = ["EVENT", "Folded", "Folder", "Traced", "combine"]


@dataclass
class Folded:
    """Contributions by table name, what failed, how many events were taken, and the event_ids that voids took back."""

    deltas: dict[str, TableDeltas] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    events: int = 0
    taken_back: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Bytes that the contributions take, moves of Levels among them."""
        frames = (frame for found in self.deltas.values() for frame in (found.rows, *found.moves.values()))
        return sum(int(frame.estimated_size()) for frame in frames)


TakenBack = Callable[[Collection[str]], Collection[str]]
"""Given event_ids, says which of them voids have taken back already."""


EVENT = "_event"
"""The column of Traced rows that says which row of `events` each stems from."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Rows that a handler of `record` gave for `table`: key, some columns, EVENT, ORDER and AT as needed.

    events: what they stem from, PLACE in front. weight: -1 where a void takes them back; it is counted in.
    told_at: by row of `events` when what tells of it occurred: the event itself, or the void that takes it back.
    """

    record: str
    table: TableSpec
    rows: pl.DataFrame
    events: pl.DataFrame
    weight: int
    told_at: pl.Series


class Folder:
    """Runs one projection's handlers.

    taken_back: asked when there are voids, since an event is taken back once however many voids name it
    (docs/decisions/0011-voids-once.md); without it the folder remembers what it took back itself.
    """

    def __init__(self, projection: Projection, contract: Contract, taken_back: TakenBack | None = None):
        self._projection, self._contract = projection, contract
        self._remembered: set[str] = set()
        self._remembers = taken_back is None
        self._taken_back = taken_back or self._remembered.intersection
        self.wanted = projection.records() | {VOID}

    def fold(self, decoded: Decoded, batches: Sequence[Batch]) -> Folded:
        """Contributions of every event, reduced; events that raise are found by halving and left out.

        Training events are passed over; what a TransactionVoided names is counted with weight -1.
        """
        out = Folded(failures=[rejected(reject) for reject in decoded.rejects])
        known = self._known(decoded)
        gone = set(known)
        parts: dict[str, list[TableDeltas]] = {}
        for record, frame in decoded.frames.items():
            out.events += len(frame)
            live = _without_training(frame)
            for found in self._applied(record, live, batches, gone, out.failures):
                for name, deltas in found.items():
                    parts.setdefault(name, []).extend(deltas)
        out.deltas = {name: reduce(self._projection.table(name), given) for name, given in parts.items()}
        out.taken_back = gone - known
        if self._remembers:
            self._remembered |= out.taken_back
        return out

    def _known(self, decoded: Decoded) -> set[str]:
        """Events that voids in `decoded` name and earlier ones took back. What is no UUID is taken back by nobody."""
        voids = decoded.frames.get(VOID)
        if voids is None:
            return set()
        named = (
            voids.filter(~pl.col("training"))["voided"].explode(empty_as_null=False).struct.field("event_id")
        )
        ids = named.str.to_lowercase().drop_nulls()
        return set(self._taken_back(set(ids.filter(ids.str.contains(UUID_TEXT)))))

    def unstorable(self, record: str, event: pl.DataFrame, batches: Sequence[Batch]) -> Failure:
        """The failure of an event (a frame of one row) whose values the store cannot hold."""
        reason = "a value that the store cannot hold: NUL in a text, a number or a date out of range"
        return failed(HandlerFailed(reason), record, event, batches)

    def _applied(
        self,
        record: str,
        events: pl.DataFrame,
        batches: Sequence[Batch],
        gone: set[str],
        failures: list[Failure],
    ) -> Iterator[Mapping[str, list[TableDeltas]]]:
        if not len(events):
            return
        try:
            yield self._void(events, batches, gone) if record == VOID else self._handle(record, events, 1)
            return
        except BaseException as error:  # a handler may raise anything
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # it is the user who interrupts
            if len(events) == 1:
                failures.append(failed(error, record, events, batches))
                return
        # Outside of `except`, or what fails below would be told with all that failed before.
        half = len(events) // 2
        yield from self._applied(record, events[:half], batches, gone, failures)
        yield from self._applied(record, events[half:], batches, gone, failures)

    def trace(self, decoded: Decoded, batches: Sequence[Batch]) -> Iterator[Traced]:
        """Every row that handlers give, before it is reduced, with the event that it stems from.

        Raises what a handler raises.
        """
        gone = self._known(decoded)
        for record, frame in decoded.frames.items():
            live = _without_training(frame)
            parts = self._voided(live, batches, gone) if record == VOID else [(record, live)]
            weight = -1 if record == VOID else 1
            for name, events in parts:
                times = _told_at(events, live) if record == VOID else events["occurred_at"]
                for table, rows in self._rows(name, events, weight):
                    traced = rows.rename({ROW: EVENT}).drop(ORDINAL)
                    yield Traced(name, table, traced, events, weight, times)
                if record == VOID:
                    self._remembered |= set(events["event_id"].str.to_lowercase())

    def _handle(self, record: str, events: pl.DataFrame, weight: int) -> dict[str, list[TableDeltas]]:
        out: dict[str, list[TableDeltas]] = {}
        for table, rows in self._rows(record, events, weight):
            out.setdefault(table.name, []).append(contributions(table, rows))
        return out

    def _rows(
        self, record: str, events: pl.DataFrame, weight: int
    ) -> Iterator[tuple[TableSpec, pl.DataFrame]]:
        """What the handlers of `record` answer, frame by frame: checked, weighed, with ORDER and AT as needed."""
        frame, turns = Frame.of_events(events, record), Counter[str]()
        for name in self._projection.handlers.get(record, ()):
            for table, rows in by_table(self._projection, getattr(self._projection, name)(frame)):
                if not len(rows):
                    continue
                told = _only(
                    self._projection, table, checked(table, in_turn(rows, turns[table.name]), events)
                )
                turns[table.name] += 1
                yield table, weigh(table, told, weight)

    def _void(
        self, events: pl.DataFrame, batches: Sequence[Batch], gone: set[str]
    ) -> dict[str, list[TableDeltas]]:
        """The events that voids name, through their handlers with weight -1; then they are `gone` too."""
        out: dict[str, list[TableDeltas]] = {}
        taken = set[str]()
        for record, frame in self._voided(events, batches, gone):
            taken |= set(frame["event_id"])
            for name, deltas in self._handle(record, frame, -1).items():
                out.setdefault(name, []).extend(deltas)
        gone |= {event_id.lower() for event_id in taken}
        return out

    def _voided(
        self, events: pl.DataFrame, batches: Sequence[Batch], gone: Collection[str]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """The events that voids name and that are not `gone` yet, each once, by record; they stand where the void stands."""
        named = (
            events.select("_batch", "_offset", "_recorded_at", "voided")
            .explode("voided", empty_as_null=False)
            .unnest("voided")
        )
        records = named.select(
            "_batch",
            "_offset",
            "_recorded_at",
            pl.lit(None, pl.Binary).alias("key"),
            pl.col("event").str.decode("base64", strict=False).alias("value"),
        ).match_to_schema(RECORD_FRAME)
        if records["value"].null_count():
            raise EventUnfit("what the void quotes is no Base64")
        decoded = decode_records(records, batches, self._contract, {*self._projection.records(), VOID})
        if decoded.rejects:
            raise EventUnfit(f"an event that the void names cannot be read: {decoded.rejects[0].reason}")
        if VOID in decoded.frames:
            raise EventUnfit(
                f"the void names another void ({decoded.frames[VOID]['event_id'][0]}), and a void is final: publish what "
                "that one took back again, under event_ids of their own"
            )
        for record, frame in decoded.frames.items():
            told = frame.with_columns(_IDENTITY)
            other = told.join(named.with_columns(_IDENTITY), on=("_batch", "_offset", "event_id"), how="anti")
            if len(other):
                raise EventUnfit(f"the void gives event {other['event_id'][0]} under another event_id")
            fresh = (
                ~told["event_id"].is_in(list(gone)) & told["event_id"].is_first_distinct() & ~told["training"]
            )
            yield record, frame.filter(fresh)


def _told_at(events: pl.DataFrame, voids: pl.DataFrame) -> pl.Series:
    """When the void occurred that each event, standing where its void stands, is named by."""
    place = ["_batch", "_offset"]
    times = voids.select(*place, told_at="occurred_at")
    return events.join(times, on=place, how="left", maintain_order="left")["told_at"]


def _without_training(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(~pl.col("training")) if events["training"].any() else events


_IDENTITY = pl.col("event_id").str.to_lowercase()


def _only(projection: Projection, table: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the keys that the projection is restricted to; none of a table without these columns."""
    for name, text in projection.only.items():
        if name not in table.key:
            return rows.clear()
        column = table.column(name)
        rows = rows.filter(pl.col(name) == pl.lit(value_of(name, column.type, text), column.dtype))
    return rows


def combine(projection: type[Projection], parts: Iterable[Folded]) -> Folded:
    """Several folds as one, reduced again."""
    out = Folded()
    deltas: dict[str, list[TableDeltas]] = {}
    for part in parts:
        out.failures += part.failures
        out.events += part.events
        out.taken_back |= part.taken_back
        for name, found in part.deltas.items():
            deltas.setdefault(name, []).append(found)
    out.deltas = {
        name: found[0] if len(found) == 1 else reduce(projection.table(name), found)
        for name, found in deltas.items()
    }
    return out
