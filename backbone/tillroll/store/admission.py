"""Admission's verdicts in the store: up to where the log is admitted, and which offsets are to be passed over.

Admission runs once per log (design.md 7). Below ``admitted.next_offset`` a verdict never changes, so
projectors that read the same partition at different times see the same events.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import polars as pl

from tillroll.database import Connection, Cursor
from tillroll.errors import Replaced, TillrollError
from tillroll.log.port import Batch, TopicPartition
from tillroll.projection.failures import Failure
from tillroll.store.copying import Newcomers, copy_frame
from tillroll.store.postgres import FEW_ROWS, PostgresStore, bury

__all__ = ["CANDIDATES", "REPEATS", "AdmissionTable", "Cut", "Judge", "Skipped", "Verdicts"]


class Verdicts:
    """What projectors ask admission."""

    def __init__(self, store: PostgresStore):
        self._store = store

    def admitted(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Per partition the offset up to which events are admitted; 0 where admission has not been."""
        wanted = set(origins)
        with self._store.reading() as connection:
            rows = connection.execute(
                "select topic, partition, next_offset from tillroll.admitted"
            ).fetchall()
        found = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
        return {origin: found.get(origin, 0) for origin in wanted}

    def are_of(self, log_identity: str) -> bool:
        """Whether they are verdicts on the log of this identity."""
        with self._store.connection() as connection:
            row = connection.execute("select log_identity from tillroll.store").fetchone()
        return row is not None and row[0] == log_identity

    def cut(self, batches: Sequence[Batch]) -> "Cut":
        """The admitted part of `batches`, and what is to be passed over in it: one question for both."""
        ends, skipped = self._asked(batches)
        out = Cut([], {}, skipped)
        for batch in batches:
            start = batch.base_offset if batch.start is None else batch.start
            end = ends.get(batch.origin, 0)
            if end < batch.next_offset:
                out.again.setdefault(batch.origin, max(start, end))
            if end > start:
                out.passed.append(batch.until(end))
        return out

    def without_skipped(
        self, records: pl.DataFrame, batches: Sequence[Batch], skipped: "Skipped | None" = None
    ) -> pl.DataFrame:
        """`records` (see RECORD_FRAME) without duplicates, conflicts and other offsets to be passed over.

        skipped: what `cut` said of the batches; None: it is asked for.
        """
        for origin, ranges in (self._asked(batches)[1] if skipped is None else skipped).items():
            if mine := [index for index, batch in enumerate(batches) if batch.origin == origin]:
                inside = _inside(records["_offset"], ranges)
                records = records.filter(~(records["_batch"].is_in(mine) & inside))
        return records

    def _asked(self, batches: Sequence[Batch]) -> "tuple[dict[TopicPartition, int], Skipped]":
        """Up to where the partitions of `batches` are admitted, if at all, and what of these is passed over."""
        ends: dict[TopicPartition, int] = {}
        skipped: Skipped = {}
        spans = _spans(batches)
        if not spans:
            return ends, skipped
        columns = zip(*((*origin, *span) for origin, span in spans.items()), strict=True)
        with self._store.reading() as connection:
            for topic, partition, end, low, high in connection.execute(_VERDICTS, [list(c) for c in columns]):
                ends[origin := TopicPartition(topic, partition)] = end
                if low is not None:
                    skipped.setdefault(origin, []).append((low, high))
        return ends, skipped


Skipped = dict[TopicPartition, list[tuple[int, int]]]
"""Per partition that has any, half-open ranges of offsets to be passed over, sorted and disjoint."""


class Cut(NamedTuple):
    """What of some batches is admitted, where reading has to go on for the rest, and what is passed over in between."""

    passed: list[Batch]
    again: dict[TopicPartition, int]
    skipped: Skipped


def _spans(batches: Sequence[Batch]) -> dict[TopicPartition, tuple[int, int]]:
    """Per partition from where to where its batches reach."""
    out: dict[TopicPartition, tuple[int, int]] = {}
    for batch in batches:
        low, _ = out.get(batch.origin, (batch.base_offset, 0))
        out[batch.origin] = low, batch.next_offset
    return out


def _inside(offsets: pl.Series, ranges: list[tuple[int, int]]) -> pl.Series:
    """Whether each offset lies in one of the sorted, disjoint half-open `ranges`."""
    lows = pl.Series([low for low, _ in ranges])
    highs = pl.Series([high for _, high in ranges])
    at = lows.search_sorted(offsets, side="right").cast(pl.Int64) - 1
    return (at >= 0) & (offsets < highs.gather(at.clip(0)))


class AdmissionTable:
    """What the active admitter writes, on a connection of its own that holds the lock of its office."""

    def __init__(self, store: PostgresStore):
        self._store = store
        self._connection: Connection | None = None
        self._newcomers = Newcomers()
        self._held: dict[TopicPartition, _Held] = {}

    def lead(self, origins: Sequence[TopicPartition], starts_of: "StartsOf") -> bool:
        """Become the active admitter, if nobody is; False where somebody is.

        The epoch of every partition is raised, so that a predecessor who does not know yet commits nothing. starts_of:
        the offsets at which the log begins by now. What it let go of before that can be judged no more and counts as
        admitted; a projector that stands before it refuses by itself. Raises StoreUnavailable, and what starts_of raises.
        """
        with self._store.connection():
            connection = self._store.database.connect()
        try:
            with self._store.database.translated():
                if self._takes_office(connection, origins, starts_of):
                    self._connection = connection
        finally:
            if self._connection is not connection:
                connection.close()
        return self._connection is connection

    def _takes_office(
        self, connection: Connection, origins: Sequence[TopicPartition], starts_of: "StartsOf"
    ) -> bool:
        got = connection.execute("select pg_try_advisory_lock(%s)", [OFFICE_LOCK]).fetchone()
        if got is None or not got[0]:
            return False
        connection.execute("set synchronous_commit = off")  # docs/decisions/0013
        connection.execute(_STAGE.encode())
        for origin, start in sorted(starts_of(origins).items()):
            row = connection.execute(_CLAIM, [*origin, start]).fetchone()
            assert row is not None
            self._held[origin] = _Held(*row)
        return True

    def positions(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to go on in these partitions: what is admitted by now."""
        return {origin: self._held[origin].next_offset for origin in origins}

    def settle(self, candidates: pl.DataFrame, ends: Mapping[TopicPartition, int], judge: "Judge") -> int:
        """Admit everything below `ends` in one transaction; returns how many offsets are to be passed over.

        candidates: with the columns CANDIDATES, one row per event that has an id. judge: given REPEATS, the candidates whose id
        stands elsewhere, returns dead letters for those that are other events under a used id.
        """
        connection = self._open()
        # Of few, all statements travel at once: their way is longer than their work.
        together = connection.pipeline() if len(candidates) <= FEW_ROWS else nullcontext()
        with self._store.database.translated(), together, connection.transaction():
            moved = self._advance(connection, ends)
            kept = self._keep(connection, candidates)
            self._refuse_lost(moved, ends)
            repeats = REPEATS.to_frame() if kept.all_new else self._repeats(connection, kept)
            if len(repeats):
                bury(connection, "", 0, judge(repeats))
                self._skip(connection, repeats, ends)
        for origin, end in ends.items():
            self._held[origin] = replace(self._held[origin], next_offset=end)
        return len(repeats)

    def id_of(self, origin: TopicPartition) -> int:
        """What stands for this partition in the tables of admission."""
        return self._held[origin].id

    def origin_of(self, id_: int) -> TopicPartition:
        """The partition of that id."""
        return next(origin for origin, held in self._held.items() if held.id == id_)

    def close(self) -> None:
        """Give up the office; it is free on return, while a server takes its time over a connection that ends."""
        if self._connection is not None:
            with suppress(TillrollError), self._store.database.translated():
                if not self._connection.closed:
                    self._connection.execute("select pg_advisory_unlock(%s)", [OFFICE_LOCK])
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        if self._connection is None:
            raise Replaced("admission: this process does not hold the office")
        return self._connection

    def _advance(self, connection: Connection, ends: Mapping[TopicPartition, int]) -> Cursor:
        """Admitted up to `ends`, all partitions in one statement."""
        moves = []
        for origin in sorted(ends):
            held = self._held[origin]
            if ends[origin] < held.next_offset:
                raise Replaced(
                    f"admission: {origin.topic}/{origin.partition} was read from before what is admitted"
                )
            moves.append((held.id, held.epoch, held.next_offset, ends[origin]))
        columns = [list(column) for column in zip(*moves, strict=True)] if moves else [[]] * 4
        return connection.execute(_ADVANCE, columns)

    def _refuse_lost(self, moved: Cursor, ends: Mapping[TopicPartition, int]) -> None:
        there = {row[0] for row in moved}
        if lost := [origin for origin in sorted(ends) if self._held[origin].id not in there]:
            raise Replaced(f"admission: {lost[0].topic}/{lost[0].partition} has another admitter now")

    def _keep(self, connection: Connection, candidates: pl.DataFrame) -> "_Kept":
        """Keep the ids that are new, of equal ones the one at the lowest place."""
        source, given = _STAGED, list[list[Any]]()
        alone = candidates["event_id"].n_unique() == len(candidates)
        if len(candidates) <= FEW_ROWS:
            source, given = _GIVEN, [candidates[name].to_list() for name in CANDIDATES.names()]
        else:
            # Sorted, so that the index grows page by page.
            rows = candidates.select(CANDIDATES.names()).sort("event_id")
            if alone and self._newcomers.take(connection, "tillroll.event_ids", rows, ["event_id"]):
                return _Kept(None, len(rows), source, given)
            copy_frame(connection, source, rows)
        keep = (_KEEP_ALL if alone else _KEEP_FIRST).format(source=source)
        return _Kept(connection.execute(keep.encode(), given), len(candidates), source, given)

    def _repeats(self, connection: Connection, kept: "_Kept") -> pl.DataFrame:
        """REPEATS among the candidates."""
        if kept.source == _STAGED:
            connection.execute(f"analyze {_STAGED}".encode())
        found = connection.execute(_FIND_REPEATS.format(source=kept.source).encode(), kept.given).fetchall()
        return pl.DataFrame(found, schema=REPEATS, orient="row")

    def _skip(
        self, connection: Connection, repeats: pl.DataFrame, ends: Mapping[TopicPartition, int]
    ) -> None:
        for (id_,), rows in repeats.partition_by("partition_id", as_dict=True).items():
            origin = self.origin_of(int(id_))
            run = ",".join(f"[{offset},{offset + 1})" for offset in rows["log_offset"].sort())
            connection.execute(
                "insert into tillroll.skipped values (%s, %s, %s, %s::int8multirange)",
                [id_, self._held[origin].next_offset, ends[origin], "{" + run + "}"],
            )


StartsOf = Callable[[Sequence[TopicPartition]], Mapping[TopicPartition, int]]
CANDIDATES = pl.Schema({"event_id": pl.String(), "partition_id": pl.Int64(), "log_offset": pl.Int64()})
REPEATS = pl.Schema(dict(CANDIDATES) | {"first_partition_id": pl.Int64(), "first_offset": pl.Int64()})
Judge = Callable[[pl.DataFrame], Sequence[Failure]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An insert of candidates (None: all went in by themselves), and where they are: `source` with the parameters `given`."""

    insert: Cursor | None
    candidates: int
    source: str
    given: list[list[Any]]

    @property
    def all_new(self) -> bool:
        """Whether none of their ids was there."""
        return self.insert is None or self.insert.rowcount == self.candidates


@dataclass(frozen=True, slots=True)
class _Held:
    id: int
    next_offset: int
    epoch: int


OFFICE_LOCK = 0x7469_6C6F  # "tilo": the admitter holds this advisory lock as long as it is in office

_VERDICTS = """
    select w.topic, w.partition, a.next_offset, found.low, found.high
      from unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[]) as w (topic, partition, low, high)
      join tillroll.admitted a using (topic, partition)
      left join lateral (
          select lower(r) as low, upper(r) as high
            from tillroll.skipped s, unnest(s.offsets * int8multirange(int8range(w.low, w.high))) as r
           where s.partition_id = a.id and s.first_offset < w.high and s.next_offset > w.low) as found on true
     order by 4"""

_CLAIM = """
    insert into tillroll.admitted as a (topic, partition, next_offset, epoch) values (%s, %s, %s, 1)
        on conflict (topic, partition) do update
            set epoch = a.epoch + 1, next_offset = greatest(a.next_offset, excluded.next_offset)
    returning id, next_offset, epoch"""

_STAGED = "stage_event_ids"
_STAGE = f"""
    create temporary table {_STAGED} (event_id uuid, partition_id integer, log_offset bigint)
    on commit delete rows"""

_ADVANCE = """
    update tillroll.admitted a set next_offset = m.new
      from unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[]) as m (id, epoch, old, new)
     where a.id = m.id and a.epoch = m.epoch and a.next_offset = m.old
    returning a.id"""

# Few candidates come with the statement; many are copied into a table first.
_GIVEN = "unnest(%s::uuid[], %s::integer[], %s::bigint[]) as given (event_id, partition_id, log_offset)"

# Finding the first of equal ids costs half as much again.
_KEEP_ALL = """
    insert into tillroll.event_ids select * from {source} on conflict do nothing"""

_KEEP_FIRST = """
    insert into tillroll.event_ids
    select distinct on (event_id) * from {source} order by event_id, partition_id, log_offset
        on conflict do nothing"""

_FIND_REPEATS = """
    select event_id::text, s.partition_id, s.log_offset, e.partition_id, e.log_offset
      from (select * from {source}) s join tillroll.event_ids e using (event_id)
     where (s.partition_id, s.log_offset) <> (e.partition_id, e.log_offset)"""
