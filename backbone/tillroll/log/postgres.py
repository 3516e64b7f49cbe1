"""The log in PostgreSQL, the embedded default: one row per batch, the same bytes as Kafka's.

Append is one function call (postgres.sql): it locks the end of the partition, refuses event_ids seen
before, and inserts the batch. A NOTIFY wakes readers.
"""

import math
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.resources import files
from itertools import repeat
from typing import Any

import cramjam
import polars as pl
import psycopg

from tillroll.contract.registry import TopicSpec
from tillroll.database import Connection, Database
from tillroll.errors import LogUnavailable, MalformedEvent, PositionOutOfRange, TopicMissing
from tillroll.log.encode import encode_values
from tillroll.log.group import POLL_BYTES, GroupReader
from tillroll.log.port import (
    Appended,
    Batch,
    OnAssigned,
    OnRevoked,
    Parts,
    Position,
    Positions,
    Record,
    Subscription,
    TopicPartition,
)
from tillroll.log.records import read_records
from tillroll.log.tidying import Run, runs_of_small, settled, together

__all__ = ["PostgresLog"]

CHANNEL = "tillroll_log"
SCHEMA_LOCK = 0x7469_6C6C  # "till": whoever makes the tables holds this advisory lock
ZSTD_LEVEL = 1  # measured: level 3 saves 4 % of the space and costs twice the time
MEMBER_LOCKS = 0x7469_6C6D  # the space of the members' own advisory locks
NO_PARTITION = "TR404"
UNIQUE_VIOLATION = "23505"
SEEN_BEFORE = "TR409"  # what logs that were made earlier say instead
BROKEN_OFF = (
    "40001",
    "40P01",
)  # SQLSTATE of a serialization failure and a deadlock: nothing is committed then
ATTEMPTS, PAUSE_SECONDS = (
    5,
    0.05,
)  # an append that is broken off, and how much longer the pause gets each time
SMALL_BYTES = 64_000  # of a body: such rows are put together by tidy
TAIL_ROWS = 64  # of a partition, left alone: they are being read by those who follow
ROWS_A_TIDY = 50_000  # of a partition
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # what a frame begins with (RFC 8878, 3.1.1)
LEAST_TO_COMPRESS = (
    512  # bytes: an event or two hardly get smaller, and each frame takes 20 microseconds to open
)
ROWS_A_READ = 20_000  # single-event rows: enough to keep the decoder's native path busy
ROWS_AT_HAND = 32  # small ones of a partition, that come with the answer whether there is anything
# Offsets from where a reading begins to the last that is looked at. Without such a bound PostgreSQL sorts all that is left of
# a partition for each reading, whatever its statistics say. Of a reading: more than 16 MB hold of events that are not tiny
# (where all rows are small, as many as rows). At hand: more than so many small rows can hold, of records of 7 bytes at least.
OFFSETS_A_READ = 200_000
OFFSETS_AT_HAND = ROWS_AT_HAND * (LEAST_TO_COMPRESS // 7 + 1)
MIDDLING = LEAST_TO_COMPRESS // 2  # bytes of a small row, as far as a reading is bounded by bytes
_SMALL_BODY = {"small": LEAST_TO_COMPRESS, "magic": ZSTD_MAGIC}

# A row for each partition, in the order given.
_APPEND = """
    select tillroll_log.append(topic, partition, ids::uuid[], raw_bytes, body)
      from unnest(%(topics)s::text[], %(partitions)s::integer[], %(ids)b::text[], %(sizes)s::integer[],
                  %(bodies)b::bytea[]) as given (topic, partition, ids, raw_bytes, body)"""

# Small bodies that are not compressed come end to end as one: single events would be as many rows to take in; so would
# arrays of numbers be, one object of Python's after the other, therefore these come as bytes. From PostgreSQL 16 on their
# order costs nothing where rows come in it.
_JOINED = """
    min(base_offset), sum(count)::bigint, min(first_timestamp), sum(raw_bytes)::bigint, string_agg(body, '' order by base_offset),
    string_agg(int8send(base_offset), '' order by base_offset), string_agg(int8send(count), '' order by base_offset),
    string_agg(int8send(first_timestamp), '' order by base_offset)"""

_READ = f"""
    with ahead as (
        select b.* from tillroll_log.batches b
         where partition_id = %(id)s
           and base_offset >= coalesce((select max(base_offset) from tillroll_log.batches
                                         where partition_id = %(id)s and base_offset <= %(offset)s), 0)
           and base_offset < %(offset)s::bigint + %(offsets)s
         order by base_offset limit %(rows)s),
    sized as (
        select *, raw_bytes < %(small)s and substr(body, 1, 4) <> %(magic)s as small,
               sum(raw_bytes) over (order by base_offset) - raw_bytes as before
          from ahead),
    wanted as (
        select *, count(*) filter (where not small) over (order by base_offset) as run
          from sized where before < %(bytes)s)
    select base_offset, count, first_timestamp, raw_bytes, body, null::bytea, null::bytea, null::bytea
      from wanted where not small
    union all
    select {_JOINED} from wanted where small group by run
     order by 1"""

# The same where small ones are expected. Big bodies are not looked at: what is found then is not used.
_READ_RUN = f"""
    select {_JOINED}, bool_and(body is not null and substr(body, 1, 4) <> %(magic)s)
      from (select base_offset, count, first_timestamp, raw_bytes, case when raw_bytes < %(small)s then body end as body
              from tillroll_log.batches
             where partition_id = %(id)s
               and base_offset >= coalesce((select max(base_offset) from tillroll_log.batches
                                             where partition_id = %(id)s and base_offset <= %(offset)s), 0)
               and base_offset < %(offset)s::bigint + %(rows)s
             order by base_offset limit %(rows)s) as run"""

# Where the tail of each partition begins that has one.
_TAILS = """
    select id, tail.base_offset from tillroll_log.partitions cross join lateral (
        select base_offset from tillroll_log.batches where partition_id = id
         order by base_offset desc offset %(tail)s - 1 limit 1) as tail"""

# Small rows in order, from where it was tidied to the tail.
_SMALL = """
    select partition_id, base_offset, count, raw_bytes from tillroll_log.batches
     where partition_id = %(id)s and base_offset >= %(start)s and base_offset < %(tail)s and raw_bytes < %(small)s
     order by base_offset limit %(most)s"""

_TAKE = """
    delete from tillroll_log.batches where partition_id = %(partition_id)s and base_offset between %(first)s and %(last)s
    returning base_offset, count, first_timestamp, raw_bytes, body, last_timestamp"""


class PostgresLog:
    """An EventLog in the schema `tillroll_log` of a PostgreSQL database. Safe to share between threads.

    conninfo: connection URL. The tables are made on first use.
    """

    settles_duplicates = True

    def __init__(self, conninfo: str):
        self._database = Database(conninfo, "log")
        self._ids: dict[TopicPartition, int] = {}
        self._mixed: set[int] = set()  # ids of partitions where the last reading met more than small rows
        self._tidied: dict[int, int] = {}  # by partition id, see settled
        self._identity: str | None = None

    @property
    def identity(self) -> str:
        """``postgresql:<uuid>``, drawn when the tables were made."""
        if self._identity is None:
            with self._open() as connection:
                row = connection.execute("select identity from tillroll_log.identity").fetchone()
            assert row is not None
            self._identity = f"postgresql:{row[0]}"
        return self._identity

    def create_topics(self, topics: Iterable[TopicSpec]) -> None:
        """See EventLog.create_topics."""
        rows = [(spec.name, spec.partitions - 1, spec.name) for spec in topics]
        with self._open() as connection:
            connection.cursor().executemany(
                "insert into tillroll_log.partitions (topic, partition) select %s, n from generate_series(0, %s) as n "
                "where not exists (select from tillroll_log.partitions where topic = %s) on conflict do nothing",
                rows,
            )

    def partitions(self, topic: str) -> int:
        """See EventLog.partitions."""
        with self._open() as connection:
            row = connection.execute(
                "select count(*) from tillroll_log.partitions where topic = %s", [topic]
            ).fetchone()
        if row is None or row[0] == 0:
            raise TopicMissing(
                f"the log has no topic {topic!r}; `tillroll publish` and imports make the contract's"
            )
        return int(row[0])

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> list[Appended]:
        """See EventLog.append."""
        origin = TopicPartition(topic, partition)
        return self.append_all({origin: records})[origin]

    def append_all(
        self, appends: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, list[Appended]]:
        """See EventLog.append_all; all of it is one transaction."""
        fresh, seen = _first_of_each(appends), dict[str, Position]()
        while (bases := self._try_append(fresh)) is None:
            found = self._where_seen([record.event_id for records in fresh.values() for record in records])
            fresh = _without(fresh, found)
            seen |= found
        new = {origin: _positions(origin, base, len(fresh[origin])) for origin, base in bases.items()}
        if all(len(records) == len(new.get(origin, ())) for origin, records in appends.items()):
            return {origin: list(map(Appended, new.get(origin, ()))) for origin in appends}
        return self._answers(appends, fresh, new, seen)

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        """See EventLog.read."""
        id_ = self._partition_id(origin)
        most = {"rows": ROWS_A_READ, "offsets": OFFSETS_A_READ, "bytes": max_bytes}
        what = {"id": id_, "offset": offset} | most | _SMALL_BODY
        with self._database.reading() as connection, connection.cursor(binary=True) as cursor:
            rows = [] if id_ in self._mixed else self._run_of_small(cursor, what)
            rows = rows or cursor.execute(_READ, what).fetchall()
        batches = [_batch(origin, row, offset) for row in rows]
        if batches and all(batch.parts for batch in batches):
            self._mixed.discard(id_)
        else:
            self._mixed.add(id_)
        if not batches or not batches[0].base_offset <= offset <= batches[-1].next_offset:
            self._refuse_out_of_range(origin, offset)
        return [batch for batch in batches if batch.next_offset > offset]

    def start_offset(self, origin: TopicPartition) -> int:
        """See EventLog.start_offset."""
        return self._extent([origin])[origin][0]

    def end_offset(self, origin: TopicPartition) -> int:
        """See EventLog.end_offset."""
        return self._extent([origin])[origin][1]

    def start_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.start_offsets."""
        return {origin: start for origin, (start, _) in self._extent(origins).items()}

    def end_offsets(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See EventLog.end_offsets."""
        return {origin: end for origin, (_, end) in self._extent(origins).items()}

    def offset_at(self, origin: TopicPartition, time: datetime) -> int:
        """See EventLog.offset_at."""
        wanted = math.ceil(time.timestamp() * 1000)
        with self._open() as connection:
            row = connection.execute(
                "select base_offset, first_timestamp from tillroll_log.batches where partition_id = %s "
                "and last_timestamp >= %s order by base_offset limit 1",
                [self._partition_id(origin), wanted],
            ).fetchone()
        if row is None:
            return self.end_offset(origin)
        return int(row[0]) if row[1] >= wanted else self._offset_within(origin, row[0], wanted)

    def tidy(self, rows: int = ROWS_A_TIDY) -> Iterator[int]:
        """Put runs of small batches together, offsets and times unchanged; bit by bit, how many rows went away.

        A till publishes one event at a time; as rows of one event they would cost a rebuild a quarter to half
        of its rate, and five times the space. Safe beside readers, writers and itself.

        rows: of a bit, at most. What is appended meanwhile is left for the next time.
        """
        with self._open() as connection:
            tails = connection.execute(_TAILS, {"tail": TAIL_ROWS}).fetchall()
        for id_, tail in tails:
            while (start := self._tidied.get(id_, 0)) < tail:
                gone = self._tidy(id_, start, tail, rows)
                yield gone
                if not gone and self._tidied[id_] == start:
                    break

    def subscribe(
        self, topics: Sequence[str], group: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """See EventLog.subscribe."""
        with self._open():
            member = _Member(self._database, group)
        return GroupReader(self, topics, member, on_assigned, on_revoked)

    def close(self) -> None:
        """See EventLog.close."""
        self._database.close()

    # --- inside -------------------------------------------------------------------------------------

    def _run_of_small(self, cursor: psycopg.Cursor[Any], what: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What `_READ` gives where all rows that come next are small, in a third of the time; else nothing."""
        most = {"rows": min(ROWS_A_READ, what["bytes"] // MIDDLING + 1)}
        row = cursor.execute(_READ_RUN, {**what, **most}).fetchone()
        assert row is not None
        *told, small = row
        return [tuple(told)] if small else []

    def _open(self) -> Any:
        if self._identity is None:
            self._identity = f"postgresql:{_make_tables(self._database)}"
        return self._database.connection()

    def _answers(
        self,
        appends: Mapping[TopicPartition, Sequence[Record]],
        fresh: Mapping[TopicPartition, Sequence[Record]],
        new: Mapping[TopicPartition, Sequence[Position]],
        seen: Mapping[str, Position],
    ) -> dict[TopicPartition, list[Appended]]:
        """Where something is there twice: the first of each id that is not `seen` is what was written."""
        written = [pair for origin, places in new.items() for pair in zip(fresh[origin], places, strict=True)]
        places = {record.event_id: place for record, place in written} | dict(seen)
        held = {record.event_id: record.value for record, _ in written} | self._values_at(seen)
        told = set(seen)
        answers: dict[TopicPartition, list[Appended]] = {origin: [] for origin in appends}
        for origin in sorted(appends):
            for record in appends[origin]:
                place, again = places[record.event_id], record.event_id in told
                told.add(record.event_id)
                answers[origin].append(
                    _repeated(record, place, held[record.event_id]) if again else Appended(place)
                )
        return answers

    def _try_append(
        self, fresh: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, int] | None:
        """`_append_once`, again when the server broke its transaction off for the sake of another one's."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._append_once(fresh)
            except psycopg.Error as error:
                if error.sqlstate not in BROKEN_OFF:
                    raise
                broken_off = error
                time.sleep(random.uniform(0, attempt * PAUSE_SECONDS))
        raise LogUnavailable(
            f"the log broke off the same append {ATTEMPTS} times: {str(broken_off).partition(chr(10))[0]}; see what "
            "else locks the tables of tillroll_log, and publish again"
        ) from broken_off

    def _append_once(
        self, fresh: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, int] | None:
        """Per partition the offset of the first record, or None when an event_id was in the log already."""
        if not fresh:
            return {}
        bodies = [
            encode_values([r.key for r in records], [r.value for r in records]) for records in fresh.values()
        ]
        rows = {
            "topics": [origin.topic for origin in fresh],
            "partitions": [origin.partition for origin in fresh],
            "ids": ["{" + ",".join([r.event_id for r in records]) + "}" for records in fresh.values()],
            "sizes": [len(body) for body in bodies],
            "bodies": [_packed(body) for body in bodies],
        }
        try:
            with self._open() as connection:
                bases = [row[0] for row in connection.execute(_APPEND, rows)]
        except psycopg.Error as error:
            if error.sqlstate == NO_PARTITION:
                for origin in fresh:
                    self._partition_id(origin)  # says which it is
            if _is_duplicate(error):
                return None
            raise
        return dict(zip(fresh, bases, strict=True))

    def _where_seen(self, ids: Sequence[str]) -> dict[str, Position]:
        with self._open() as connection:
            rows = connection.execute(
                "select event_id::text, topic, partition, log_offset from tillroll_log.event_ids "
                "join tillroll_log.partitions on id = partition_id where event_id = any(%s::uuid[])",
                ["{" + ",".join(ids) + "}"],
            ).fetchall()
        return {row[0]: Position(*row[1:]) for row in rows}

    def _values_at(self, seen: Mapping[str, Position]) -> dict[str, bytes | None]:
        """The bytes the log holds for each of these ids, read partition by partition."""
        out: dict[str, bytes | None] = {}
        by_place = {position: id_ for id_, position in seen.items()}
        for position in sorted(by_place):
            if by_place[position] in out:
                continue
            origin = TopicPartition(position.topic, position.partition)
            rows = read_records(self.read(origin, position.offset))
            for offset, value in rows.select("_offset", "value").iter_rows():
                if id_ := by_place.get(Position(*origin, offset)):
                    out[id_] = value
        return out

    def _offset_within(self, origin: TopicPartition, base: int, wanted: int) -> int:
        """The first offset at or after `wanted` (ms) in the batch that begins at `base`."""
        times = read_records(self.read(origin, base, 1)).select(
            "_offset", pl.col("_recorded_at").dt.epoch("ms")
        )
        return int(times.filter(pl.col("_recorded_at") >= wanted)["_offset"][0])

    def _tidy(self, id_: int, start: int, tail: int, most: int) -> int:
        """Look at what came since the last time, and at the run that was open then."""
        rows = self._small_rows(id_, start, tail, most)
        gone = {run.first: self._put_together(run) for run in runs_of_small(rows)}
        others = [first for first, went in gone.items() if not went]  # to be looked at again
        self._tidied[id_] = min([*others, settled(rows, tail, len(rows) == most)])
        return sum(gone.values())

    def _small_rows(self, id_: int, start: int, tail: int, most: int) -> list[tuple[int, int, int, int]]:
        what = {"id": id_, "start": start, "tail": tail, "small": SMALL_BYTES, "most": most}
        with self._open() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(_SMALL, what)]

    def _put_together(self, run: Run) -> int:
        with self._open() as connection:
            gone = connection.execute(_TAKE, run._asdict()).fetchall()
            if len(gone) != run.rows:
                connection.rollback()  # somebody else was faster
                return 0
            batches = [_batch(TopicPartition("", 0), row[:-1], 0) for row in sorted(gone)]
            body = together(batches)
            connection.execute(
                "insert into tillroll_log.batches values (%s, %s, %s, %s, %s, %s, %b)",
                [run.partition_id, run.first, batches[-1].next_offset - run.first, batches[0].first_timestamp,
                 max(row[-1] for row in gone), len(body), _packed(body)],
            )  # fmt: skip
        return run.rows - 1

    def _partition_id(self, origin: TopicPartition) -> int:
        if origin not in self._ids:
            with self._open() as connection:
                row = connection.execute(
                    "select id from tillroll_log.partitions where topic = %s and partition = %s", list(origin)
                ).fetchone()
            if row is None:
                raise TopicMissing(f"the log has no partition {origin.partition} of topic {origin.topic!r}")
            self._ids[origin] = row[0]
        return self._ids[origin]

    def _extent(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Per partition its first offset and its end."""
        wanted = list(origins)
        with self._open() as connection:
            rows = connection.execute(
                "select topic, partition, start_offset, next_offset from tillroll_log.partitions where topic = any(%s)",
                [sorted({origin.topic for origin in wanted})],
            ).fetchall()
        found = {TopicPartition(*row[:2]): (row[2], row[3]) for row in rows}
        if missing := [origin for origin in wanted if origin not in found]:
            raise TopicMissing(
                f"the log has no partition {missing[0].partition} of topic {missing[0].topic!r}"
            )
        return {origin: found[origin] for origin in wanted}

    def _refuse_out_of_range(self, origin: TopicPartition, offset: int) -> None:
        start, end = self._extent([origin])[origin]
        if not start <= offset <= end:
            raise PositionOutOfRange(
                f"{origin.topic}/{origin.partition}: offset {offset} is not in the log, which holds {start} to {end}"
            )


class _Member:
    """A member of a group on a connection of its own: its advisory lock says it lives, its LISTEN wakes it.

    When the connection is lost, so is the lock; the next call joins again under the same name.
    """

    def __init__(self, database: Database, group: str):
        self.me = str(uuid.uuid4())
        self._database, self._group = database, group
        self._connection: Connection | None = None
        with self._live():
            pass

    def members(self) -> Sequence[str]:
        """Members whose lock is held; the rows of the dead are cleared away."""
        with self._live() as connection:
            connection.execute(_FORGET_THE_DEAD, {"space": MEMBER_LOCKS, "me": self.me, "group": self._group})
            rows = connection.execute(
                "select member::text from tillroll_log.members where group_name = %s", [self._group]
            ).fetchall()
        return [row[0] for row in rows]

    def ahead(self, positions: Positions) -> Mapping[TopicPartition, Sequence[Batch]]:
        what = {
            "topics": [origin.topic for origin in positions],
            "partitions": [origin.partition for origin in positions],
            "positions": list(positions.values()),
            "rows": ROWS_AT_HAND + 1,
            "offsets": OFFSETS_AT_HAND,
            "small": LEAST_TO_COMPRESS,
        }
        found: dict[TopicPartition, list[tuple[Any, ...]]] = {}
        with self._database.reading() as connection, connection.cursor(binary=True) as cursor:
            for topic, partition, *row in cursor.execute(_AHEAD, what):
                found.setdefault(TopicPartition(topic, partition), []).append(tuple(row))
        return {origin: _at_hand(origin, rows, positions[origin]) for origin, rows in found.items()}

    def wait(self, timeout: float) -> None:
        with self._live() as connection:
            for _ in connection.notifies(timeout=timeout, stop_after=1):
                pass

    def leave(self) -> None:
        if self._connection is None:
            return  # the lock went with the connection, and whoever joins next clears the row away
        with suppress(LogUnavailable), self._live() as connection:
            connection.execute("delete from tillroll_log.members where member = %s", [self.me])
        self._drop()

    @contextmanager
    def _live(self) -> Iterator[Connection]:
        with self._database.translated():
            if self._connection is None:
                self._connection = self._join()
            try:
                yield self._connection
            except psycopg.OperationalError:
                self._drop()
                raise

    def _join(self) -> Connection:
        connection = self._database.connect()
        row = connection.execute("select nextval('tillroll_log.member_locks')").fetchone()
        assert row is not None
        # Locked before the row is there: whoever sees the row finds its member alive.
        connection.execute("select pg_advisory_lock(%s, %s::int)", [MEMBER_LOCKS, row[0]])
        connection.execute(
            "insert into tillroll_log.members (group_name, member, lock_key) values (%s, %s, %s) "
            "on conflict (member) do update set lock_key = excluded.lock_key",
            [self._group, self.me, row[0]],
        )
        connection.execute(f"listen {CHANNEL}")
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# A row for each partition that does not end where it is read, and for each of the first batches that come there; their
# bodies, where these are small.
_AHEAD = """
    select at.topic, at.partition, b.base_offset, b.count, b.first_timestamp, b.raw_bytes,
           case when b.raw_bytes < %(small)s then b.body end
      from unnest(%(topics)s::text[], %(partitions)s::integer[], %(positions)s::bigint[]) as at (topic, partition, position)
      left join tillroll_log.partitions p on p.topic = at.topic and p.partition = at.partition
      left join lateral (
          select * from tillroll_log.batches
           where partition_id = p.id and base_offset >= at.position and base_offset < at.position + %(offsets)s
           order by base_offset limit %(rows)s) b on true
     where p.next_offset is distinct from at.position
     order by 1, 2, 3"""

_FORGET_THE_DEAD = """
    delete from tillroll_log.members m where group_name = %(group)s and member <> %(me)s
       and not exists (select from pg_locks l where l.locktype = 'advisory' and l.objsubid = 2
                          and l.classid = %(space)s::oid and l.objid = m.lock_key::oid)"""


def _at_hand(origin: TopicPartition, rows: Sequence[tuple[Any, ...]], position: int) -> list[Batch]:
    """The batches of `rows` if that is all that comes from `position` on; otherwise none."""
    whole = len(rows) <= ROWS_AT_HAND and all(row[-1] is not None for row in rows)
    return [_batch(origin, row, position) for row in rows] if whole and rows[0][0] == position else []


def _positions(origin: TopicPartition, base: int, count: int) -> list[Position]:
    offsets = range(base, base + count)
    return list(map(Position, repeat(origin.topic), repeat(origin.partition), offsets))


def _first_of_each(
    appends: Mapping[TopicPartition, Sequence[Record]],
) -> dict[TopicPartition, Sequence[Record]]:
    """The first record of each event_id, in the order in which partitions are locked; none that gets nothing."""
    out: dict[TopicPartition, Sequence[Record]] = {}
    ids = set[str]()
    for origin in sorted(appends):
        records = appends[origin]
        here = {record.event_id for record in records}
        if len(here) < len(records) or not ids.isdisjoint(here):
            firsts: dict[str, Record] = {}
            for record in records:
                firsts.setdefault(record.event_id, record)
            records = [record for id_, record in firsts.items() if id_ not in ids]
        ids |= here
        if records:
            out[origin] = records
    return out


def _without(
    fresh: Mapping[TopicPartition, Sequence[Record]], seen: Mapping[str, Position]
) -> dict[TopicPartition, Sequence[Record]]:
    """The records that were not seen before; one of them was, or its id is not written as the log writes it."""
    left = {origin: [r for r in records if r.event_id not in seen] for origin, records in fresh.items()}
    if left == fresh:
        raise MalformedEvent("event ids have to be in canonical form: 36 characters, lower case")
    return {origin: records for origin, records in left.items() if records}


def _is_duplicate(error: psycopg.Error) -> bool:
    """Whether an append was refused for an id that the log has."""
    by_index = error.sqlstate == UNIQUE_VIOLATION and error.diag.table_name == "event_ids"
    return by_index or error.sqlstate == SEEN_BEFORE


def _packed(body: bytes) -> bytes:
    if len(body) < LEAST_TO_COMPRESS and not body.startswith(ZSTD_MAGIC):
        return body
    return bytes(cramjam.zstd.compress(body, level=ZSTD_LEVEL))


def _repeated(record: Record, position: Position, held: bytes | None) -> Appended:
    same = record.value == held
    return Appended(position, duplicate=same, conflict=not same)


def _batch(origin: TopicPartition, row: tuple[Any, ...], offset: int) -> Batch:
    base, count, first_timestamp, raw_bytes, body, *parts = row
    raw = bytes(cramjam.zstd.decompress(body, output_len=raw_bytes)) if body[:4] == ZSTD_MAGIC else body
    start = offset if base < offset else None
    joined = Parts(*parts) if parts and parts[0] is not None else None
    end = joined.next_offset if joined else base + count
    return Batch(*origin, base, end, count, first_timestamp, None, raw, start, parts=joined)


def _make_tables(database: Database) -> uuid.UUID:
    """The identity of the log; its tables made first where they are missing."""
    with database.connection() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        made = connection.execute("select to_regclass('tillroll_log.identity')").fetchone()
        if made is None or made[0] is None:
            connection.execute(files("tillroll.log").joinpath("postgres.sql").read_bytes())
        row = connection.execute("select identity from tillroll_log.identity").fetchone()
        assert row is not None
        return uuid.UUID(str(row[0]))
