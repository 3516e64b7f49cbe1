"""The store in PostgreSQL: read models, positions, dead letters and admission's verdicts.

Rows and position commit together, or neither does (`Writer.commit`).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import polars as pl
import psycopg

from tillroll.database import Connection, Database
from tillroll.errors import Replaced, TillrollError, UsageError
from tillroll.log.port import Position, TopicPartition
from tillroll.projection.declare import Projection, Rule, TableSpec
from tillroll.projection.failures import Failure
from tillroll.projection.fold import Folded
from tillroll.projection.merge import TableDeltas, with_moved
from tillroll.store import sql, versions
from tillroll.store.copying import Newcomers, copy_frame

__all__ = [
    "FEW_ROWS",
    "Claim",
    "DeadLetter",
    "PostgresStore",
    "Unstorable",
    "Writer",
    "bury",
]

FEW_ROWS = 200  # that cost less as one parameter than by COPY
ANALYZE_FROM = 10_000  # staged rows, whose keys a Level's moves are looked up by; below it the planner's guess does no harm
DEADLOCK_TRIES = 5

# What a value can be that no retry makes storable; the second: a key too long for its index.
UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)


class Unstorable(TillrollError):
    """A value that PostgreSQL cannot hold: a NUL in a text, a sum beyond 64 bits, a year past 294276."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One projection's hold on one partition: where to read on, under which epoch."""

    next_offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be applied."""

    id: int
    projection: str
    version: int
    position: Position
    record: str | None
    event_id: str | None
    error: str
    message: str
    traceback: str
    created_at: str


class PostgresStore:
    """Read models in one PostgreSQL database. Safe to share between threads.

    Its own tables are made on first use. A store holds the events of one log only (`bind`).
    """

    def __init__(self, conninfo: str):
        self.database = Database(conninfo, "store")
        self._ready = False

    def connection(self) -> Any:
        """A pooled connection, the store's tables being there."""
        if not self._ready:
            _make_tables(self.database)
            self._ready = True
        return self.database.connection()

    def reading(self) -> AbstractContextManager[Connection]:
        """A pooled connection for single statements that only read, see Database.reading."""
        if not self._ready:
            with self.connection():
                pass
        return self.database.reading()

    def close(self) -> None:
        """Let go of connections."""
        self.database.close()

    def group(self, name: str) -> str:
        """The consumer group of `name` for this store: several stores may read one log, each all of it."""
        with self.connection() as connection:
            row = connection.execute("select identity from tillroll.store").fetchone()
        return f"{name}-{str(row[0])[:8]}"

    # --- which log, which projections ---------------------------------------------------------------

    def bind(self, log_identity: str) -> None:
        """Tie this store to a log; refuses a second one, whose offsets would mean other events."""
        with self.connection() as connection:
            connection.execute(
                "update tillroll.store set log_identity = %s where log_identity is null", [log_identity]
            )
            row = connection.execute("select log_identity from tillroll.store").fetchone()
        if row[0] != log_identity:
            raise UsageError(
                f"this store holds read models of another log ({row[0]}, not {log_identity}); name another store "
                "with --store or another data directory with --data"
            )

    def install(self, projection: type[Projection]) -> None:
        """Make the first version of a projection, and its views; any further one comes by a rebuild.

        Raises DeclarationError when this version is not there, or was declared differently.
        """
        with self.connection() as connection:
            versions.install(connection, projection)

    def declared(self, name: str, version: int) -> str | None:
        """The fingerprint of the tables of a version; None where there is no such version."""
        with self.connection() as connection:
            row = connection.execute(
                "select fingerprint from tillroll.projections where name = %s and version = %s",
                [name, version],
            ).fetchone()
        return row[0] if row else None

    # --- positions ----------------------------------------------------------------------------------

    def claim(
        self, projection: type[Projection], origins: Iterable[TopicPartition]
    ) -> dict[TopicPartition, Claim]:
        """Become the owner of these partitions: raise their epoch, learn where to read on."""
        out = {}
        with self.connection() as connection:
            for origin in sorted(origins):
                row = connection.execute(
                    "insert into tillroll.positions as p "
                    "(projection, version, topic, partition, next_offset, epoch, applied) values (%s, %s, %s, %s, 0, 1, 0) "
                    "on conflict (projection, version, topic, partition) do update set epoch = p.epoch + 1 "
                    "returning next_offset, epoch",
                    [projection.name, projection.version, *origin],
                ).fetchone()
                out[origin] = Claim(*row)
        return out

    def positions(self, projection: type[Projection]) -> dict[TopicPartition, int]:
        """Next offset per partition; empty where nothing was read yet."""
        with self.reading() as connection:
            rows = connection.execute(
                "select topic, partition, next_offset from tillroll.positions where projection = %s and version = %s",
                [projection.name, projection.version],
            ).fetchall()
        return {TopicPartition(*row[:2]): row[2] for row in rows}

    def applied(self, projection: type[Projection]) -> dict[TopicPartition, int | None]:
        """Per partition how many events it took in; None where that is not known."""
        with self.reading() as connection:
            rows = connection.execute(
                "select topic, partition, applied from tillroll.positions where projection = %s and version = %s",
                [projection.name, projection.version],
            ).fetchall()
        return {TopicPartition(*row[:2]): row[2] for row in rows}

    def standing(self, projection: type[Projection]) -> dict[TopicPartition, tuple[int, float]]:
        """Per partition the next offset, and for how many seconds it has been that."""
        with self.connection() as connection:
            rows = connection.execute(
                "select topic, partition, next_offset, extract(epoch from now() - updated_at)::float8 "
                "from tillroll.positions where projection = %s and version = %s",
                [projection.name, projection.version],
            ).fetchall()
        return {TopicPartition(*row[:2]): (row[2], row[3]) for row in rows}

    def taken_back(self, projection: type[Projection], event_ids: Collection[str]) -> set[str]:
        """Which of these events voids have taken back already."""
        with self.connection() as connection:
            rows = connection.execute(
                "select event_id::text from tillroll.taken_back "
                "where projection = %s and version = %s and event_id = any(%s::uuid[])",
                [projection.name, projection.version, list(event_ids)],
            ).fetchall()
        return {row[0] for row in rows}

    def writer(self, projection: type[Projection]) -> "Writer":
        """The one that commits for `projection`; not to be shared between threads."""
        with self.connection():
            return Writer(self.database, projection)


class Writer:
    """Commits what one projection folded, on a connection of its own that keeps its staging tables."""

    def __init__(self, database: Database, projection: type[Projection]):
        self._database, self._projection = database, projection
        self._staging = {table.name: sql.staging(projection, table) for table in projection.tables}
        self._newcomers = Newcomers()
        self._connection: Connection | None = None

    def commit(
        self,
        folded: Folded,
        claims: Mapping[TopicPartition, Claim],
        ends: Mapping[TopicPartition, int],
        read: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        """One transaction: positions forward to `ends`, contributions merged, failures kept as dead letters.

        read: events per partition, the failed ones among them; the others count as applied.
        Raises Replaced when another process has claimed any of the partitions or taken back the same event, Unstorable, StoreUnavailable,
        DiskFull; nothing is committed then.
        """
        for attempt in range(1, DEADLOCK_TRIES + 1):
            try:
                with self._database.translated():
                    self._commit(folded, claims, ends, _applied(read or {}, folded.failures))
                return
            except psycopg.errors.DeadlockDetected:
                if attempt == DEADLOCK_TRIES:
                    raise
            except UNSTORABLE as error:
                raise Unstorable(str(error).splitlines()[0]) from error

    def retry(self, folded: Folded, dead_letter: int) -> bool:
        """One transaction: the dead letter goes, its event's contributions come; False when it was gone.

        Raises Replaced, Unstorable, StoreUnavailable, DiskFull; then it stays.
        """
        try:
            with self._database.translated(), (connection := self._open()).transaction():
                gone = connection.execute(
                    "delete from tillroll.dead_letters where id = %s and not discarded returning topic, partition",
                    [dead_letter],
                ).fetchone()
                if gone is not None:
                    # Positions before rows, as a commit does: or the two wait for each other.
                    connection.execute(_ONE_MORE, [self._projection.name, self._projection.version, *gone])
                    self._merge(folded)
                    self._take_back(connection, folded)
                return gone is not None
        except UNSTORABLE as error:
            raise Unstorable(str(error).splitlines()[0]) from error

    def probe(self, folded: Folded) -> bool:
        """Whether these contributions can be stored; nothing is changed."""
        try:
            with self._database.translated(), self._open().transaction(force_rollback=True):
                self._merge(folded)
        except UNSTORABLE:
            return False
        return True

    def rehearse(self, folded: Folded) -> None:
        """Make the tables and merge, in a transaction that is rolled back: to see how long it takes.

        Raises Unstorable, StoreUnavailable, DiskFull.
        """
        try:
            with self._database.translated(), self._open().transaction(force_rollback=True):
                self._open().execute(sql.create(self._projection).encode())
                self._merge(folded)
        except UNSTORABLE as error:
            raise Unstorable(str(error).splitlines()[0]) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(
        self,
        folded: Folded,
        claims: Mapping[TopicPartition, Claim],
        ends: Mapping[TopicPartition, int],
        applied: Mapping[TopicPartition, int],
    ) -> None:
        connection = self._open()
        with _together(connection, folded), connection.transaction():
            moved = self._advance(connection, claims, ends, applied)
            self._merge(folded)
            self._refuse_lost(moved, ends)
            self._take_back(connection, folded)
            self._bury(connection, folded.failures)

    def _advance(
        self,
        connection: Connection,
        claims: Mapping[TopicPartition, Claim],
        ends: Mapping[TopicPartition, int],
        applied: Mapping[TopicPartition, int],
    ) -> psycopg.Cursor[Any]:
        """Positions forward, those of all partitions in one statement: a trickle of events pays for every one."""
        moves = [
            (
                *origin,
                claims[origin].epoch,
                claims[origin].next_offset,
                ends[origin],
                applied.get(origin, 0),
            )
            for origin in sorted(ends)
        ]
        columns = map(list, zip(*moves, strict=True)) if moves else [[]] * 6
        return connection.execute(_ADVANCE, [*columns, self._projection.name, self._projection.version])

    def _refuse_lost(self, moved: psycopg.Cursor[Any], ends: Mapping[TopicPartition, int]) -> None:
        if lost := sorted(set(ends) - {TopicPartition(*row) for row in moved}):
            raise Replaced(
                f"{self._projection.name}: {lost[0].topic}/{lost[0].partition} has another owner now"
            )

    def _merge(self, folded: Folded) -> None:
        connection = self._open()
        for table in self._projection.tables:
            deltas = folded.deltas.get(table.name)
            if deltas is not None and len(deltas.rows):
                self._merge_table(connection, table, deltas)

    def _merge_table(self, connection: Connection, table: TableSpec, deltas: TableDeltas) -> None:
        staging, rows = self._staging[table.name], _storable(table, deltas)
        source = self._source(connection, table, rows)
        if source is not None:
            connection.execute(staging.merge(source[0]).encode(), source[1])
        for column in staging.levels:
            if column.name in deltas.moves:
                _keep_moves(connection, staging.moves(column), deltas.moves[column.name].sort(*table.key))
            if source is not None:
                connection.execute(staging.supersede(column, source[0]).encode(), source[1])

    def _source(
        self, connection: Connection, table: TableSpec, rows: pl.DataFrame
    ) -> tuple[str, list[str]] | None:
        """Where statements find `rows`, and the parameters for it; None where they are all new, and in the table already.

        Of a key that is new no older moves are there that a count could supersede.
        """
        staging = self._staging[table.name]
        if _are_few(rows):
            return staging.given(), [_as_json(rows, _lists(table))]
        rows = rows.sort(*table.key)
        if self._newcomers.take(connection, staging.target, rows, table.key):
            return None
        copy_frame(connection, staging.rows, rows)
        if staging.levels and len(rows) >= ANALYZE_FROM:
            connection.execute(staging.analyze().encode())
        return staging.copied(), []

    def _take_back(self, connection: Connection, folded: Folded) -> None:
        if not folded.taken_back:
            return
        done = connection.execute(
            "insert into tillroll.taken_back select %s, %s, unnest(%s::uuid[]) order by 3 on conflict do nothing "
            "returning event_id",
            [self._projection.name, self._projection.version, sorted(folded.taken_back)],
        )
        if len(done.fetchall()) != len(folded.taken_back):
            raise Replaced(
                f"{self._projection.name}: another process has taken back the same event meanwhile"
            )

    def _bury(self, connection: Connection, failures: Sequence[Failure]) -> None:
        bury(connection, self._projection.name, self._projection.version, failures)

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._database.connect(autocommit=True)
            self._connection.execute("set synchronous_commit = off")  # docs/decisions/0013
            self._connection.execute("".join(staging.create() for staging in self._staging.values()).encode())
        return self._connection


_ONE_MORE = """
    update tillroll.positions set applied = applied + 1
     where projection = %s and version = %s and topic = %s and partition = %s"""

_ADVANCE = """
    update tillroll.positions p set next_offset = m.new, updated_at = now(), applied = p.applied + m.applied
      from unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
           as m (topic, partition, epoch, old, new, applied)
     where p.projection = %s and p.version = %s and p.topic = m.topic and p.partition = m.partition
       and p.epoch = m.epoch and p.next_offset = m.old
    returning p.topic, p.partition"""


def _applied(read: Mapping[TopicPartition, int], failures: Sequence[Failure]) -> dict[TopicPartition, int]:
    failed = Counter(TopicPartition(*place[:2]) for place in {failure.position for failure in failures})
    return {origin: events - failed[origin] for origin, events in read.items()}


def bury(connection: Connection, projection: str, version: int, failures: Sequence[Failure]) -> None:
    """Keep `failures` as dead letters of `projection`."""
    if failures:
        connection.cursor().executemany(
            "insert into tillroll.dead_letters (projection, version, topic, partition, log_offset, record, event_id, "
            "error, message, traceback, value) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            [
                (
                    projection,
                    version,
                    *f.position,
                    f.record,
                    None if f.event_id is None else _text(f.event_id),
                    f.error,
                    _text(f.message),
                    _text(f.traceback),
                    f.value,
                )
                for f in failures
            ],
        )


def _text(text: str) -> str:
    """PostgreSQL holds no NUL in a text."""
    return text.replace("\x00", "\\x00")


# --- frames into staging tables -----------------------------------------------------------------------


def _together(connection: Connection, folded: Folded) -> AbstractContextManager[Any]:
    """Where contributions are few, all statements of a commit travel at once: their way is longer than their work."""
    few = all(map(_are_few, _frames(folded)))
    return connection.pipeline() if few else nullcontext()


def _are_few(rows: pl.DataFrame) -> bool:
    return len(rows) <= FEW_ROWS


def _frames(folded: Folded) -> Iterator[pl.DataFrame]:
    for deltas in folded.deltas.values():
        yield from (deltas.rows, *deltas.moves.values())


def _keep_moves(connection: Connection, table: str, moves: pl.DataFrame) -> None:
    if not _are_few(moves):
        copy_frame(connection, table, moves)
        return
    rows = f"insert into {table} select * from json_populate_recordset(null::{table}, %s)"
    connection.execute(rows.encode(), [_as_json(moves)])


def _as_json(rows: pl.DataFrame, lists: Sequence[str] = ()) -> str:
    """An array of objects; what is in `lists` is JSON already."""
    objects = [
        row | {name: json.loads(row[name]) for name in lists if row[name] is not None}
        for row in rows.iter_rows(named=True)
    ]
    return json.dumps(objects, default=str)


def _lists(table: TableSpec) -> list[str]:
    return [column.name for column in table.ruled(Rule.APPEND, Rule.UNION)]


def _storable(table: TableSpec, deltas: TableDeltas) -> pl.DataFrame:
    """Rows as they are stored: with the sum of each Level's moves, and lists as the JSON objects they are kept in."""
    names = [name for column in table.values for name in sql.stored_names(column)]
    rows = with_moved(table, deltas)
    if lists := _lists(table):
        rows = rows.with_columns(_json_object(name) for name in lists)
    return rows[[*table.key, *names]]


def _json_object(name: str) -> pl.Expr:
    """A list of {k, v} as the text ``{"k": v, ...}``, also of none; {"k":"...","v":...} is taken apart for it."""
    entry = pl.element().struct.json_encode()
    entries = pl.col(name).list.eval(
        entry.str.replace(r'^\{"k":', "").str.replace(r',"v":', ":").str.head(-1)
    )
    return ("{" + entries.list.join(",").fill_null("") + "}").alias(name)


def _make_tables(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [sql.SCHEMA_LOCK])
        made = connection.execute("select to_regclass('tillroll.store')").fetchone()
        if made is None or made[0] is None:
            connection.execute(files("tillroll.store").joinpath("postgres.sql").read_bytes())
        version = connection.execute("select version from tillroll.store").fetchone()
        if version is not None and version[0] < 5:
            connection.execute(files("tillroll.store").joinpath("additions.sql").read_bytes())
