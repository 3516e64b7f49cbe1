"""Two versions of a projection, compared row by row inside PostgreSQL.

The live version goes on being projected meanwhile, so its rows are copied, together with the positions that
they stand for, in one snapshot; the candidate is then brought to those very positions, and the two are joined.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tillroll.database import Connection
from tillroll.log.port import TopicPartition
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.values import value_of
from tillroll.store.postgres import PostgresStore
from tillroll.store.sql import quoted, stored_queries, table_query

__all__ = ["Changed", "LiveCopy", "TableDifference", "live_copy"]

JOIN_MEMORY = "128MB"  # of work_mem: a million rows are joined without going to disk


@dataclass(frozen=True, slots=True)
class Changed:
    """One row that differs: its key, what readers see of it (live) and would see (candidate); None = no row."""

    key: Mapping[str, Any]
    live: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How one table of the candidate differs from the live one's.

    added, removed, changed: rows. columns: per column that both have, rows in which it differs. only_live,
    only_candidate: columns that one of the two has, which are not compared. comparable: False where the keys
    are not the same columns, so that no row of one can be found in the other; the counts are None then.
    """

    table: str
    view: str
    live_rows: int
    candidate_rows: int
    comparable: bool
    added: int | None
    removed: int | None
    changed: int | None
    columns: Mapping[str, int]
    only_live: tuple[str, ...]
    only_candidate: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether readers would see the same rows."""
        return (self.added, self.removed, self.changed) == (0, 0, 0)

    @property
    def same_columns(self) -> bool:
        """Whether readers would see the same columns."""
        return not self.only_live and not self.only_candidate


class LiveCopy:
    """The rows of the live version at `positions` (next offset per partition), copied.

    applied: events it took in by then, per partition; None where that is not known.
    """

    def __init__(
        self,
        connection: Connection,
        live: type[Projection],
        positions: Mapping[TopicPartition, int],
        applied: Mapping[TopicPartition, int | None],
    ):
        self._connection, self._live = connection, live
        self.positions, self.applied = positions, applied

    def differences(self, candidate: type[Projection]) -> list[TableDifference]:
        """How `candidate`, which stands at `positions`, differs; a table that one of the two lacks has no rows there."""
        found = []
        for old, new in _pairs(self._live, candidate):
            found.append(_difference(self._connection, _Pair(self._live, candidate, old, new)))
        return found

    def stored_differences(self, candidate: type[Projection]) -> dict[str, int]:
        """By stored table the rows that are other ones than `candidate`, of the same declaration, has; none are left out.

        That is more than readers see: what decides about contributions to come. The copy has to be of all `stored`.
        """
        found = dict[str, int]()
        for name, text in stored_queries(candidate):
            copied, same = quoted(f"stored_{name}"), "except all"
            one, other = f"table {copied} {same} ({text})", f"({text}) {same} table {copied}"
            counts = f"greatest((select count(*) from ({one}) a), (select count(*) from ({other}) b))"
            row = self._connection.execute(f"select {counts}".encode()).fetchone()
            if row is not None and row[0]:
                found[name] = row[0]
        return found

    def changed(self, candidate: type[Projection], table: str, limit: int | None = None) -> Iterator[Changed]:
        """Rows of `table` that differ, by key; to be read while nothing else is asked."""
        for old, new in _pairs(self._live, candidate):
            pair = _Pair(self._live, candidate, old, new)
            if pair.name == table and pair.comparable:
                yield from _changed(self._connection, pair, limit)


@contextmanager
def live_copy(
    store: PostgresStore,
    live: type[Projection],
    only: Mapping[str, str] | None = None,
    stored: bool = False,
) -> Iterator[LiveCopy]:
    """Copy the rows of `live`, which need not stand still; the copy is gone after the context.

    only: values of key columns, as text, whose rows alone are copied; tables without these columns stay empty.
    stored: copy also what is stored beside what readers see, of every key.
    Copies are temporary tables, so neither a crash nor a kill leaves one behind.
    """
    connection = store.database.connect(autocommit=True)
    try:
        with store.database.translated():
            connection.execute(f"set work_mem = '{JOIN_MEMORY}'".encode())
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                positions, applied = _positions(connection, live)
                for table in live.tables:
                    _copy(connection, live, table, only or {})
                for name, text in stored_queries(live) if stored else ():
                    copied = quoted(f"stored_{name}")
                    connection.execute(f"create temporary table {copied} as {text}".encode())
            connection.isolation_level = None
            for table in live.tables:
                connection.execute(f"analyze {_copied(table)}".encode())
            yield LiveCopy(connection, live, positions, applied)
    finally:
        connection.close()


def _positions(
    connection: Connection, live: type[Projection]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int | None]]:
    """Per partition the next offset, and the events taken in."""
    rows = connection.execute(
        "select topic, partition, next_offset, applied from tillroll.positions where projection = %s and version = %s",
        [live.name, live.version],
    ).fetchall()
    origins = [TopicPartition(*row[:2]) for row in rows]
    return (
        {origin: row[2] for origin, row in zip(origins, rows, strict=True)},
        {origin: row[3] for origin, row in zip(origins, rows, strict=True)},
    )


def _copy(connection: Connection, live: type[Projection], table: TableSpec, only: Mapping[str, str]) -> None:
    wanted = [f"{quoted(name)} = %s" if name in table.key else "false" for name in only]
    where = f" where {' and '.join(wanted)}" if wanted else ""
    values = [
        value_of(name, table.column(name).type, text) for name, text in only.items() if name in table.key
    ]
    text = f"create temporary table {_copied(table)} as select * from ({_escaped(table_query(live, table))}) as live{where}"
    cursor = psycopg.ClientCursor(
        connection
    )  # a statement that makes a table takes no parameters of the server's
    cursor.execute(text.encode(), values)


def _escaped(text: str) -> str:
    """Where a statement takes parameters, a per cent sign is written twice."""
    return text.replace("%", "%%")


def _copied(table: TableSpec) -> str:
    return quoted(f"live_{table.name}")


# --- pairs of tables -----------------------------------------------------------------------------------


def _pairs(
    live: type[Projection], candidate: type[Projection]
) -> Iterator[tuple[TableSpec | None, TableSpec | None]]:
    """Tables of the same name, in the order of the candidate; those that only the live one has come last."""
    old = {table.name: table for table in live.tables}
    if len(old) == len(candidate.tables) == 1:  # the only table is called like the projection
        yield live.tables[0], candidate.tables[0]
        return
    for table in candidate.tables:
        yield old.pop(table.name, None), table
    yield from ((table, None) for table in old.values())


class _Pair:
    """A table in both versions, as the statements see it: `l` and `c`, joined by their key."""

    def __init__(
        self,
        live: type[Projection],
        candidate: type[Projection],
        old: TableSpec | None,
        new: TableSpec | None,
    ):
        self.table = new or old
        assert self.table is not None
        self.name, self.view = self.table.name, self.table.view
        there = f"select * from {_copied(old)}" if old else ""
        here = table_query(candidate, new) if new else ""
        self.old, self.new = there or _none_of(here), here or _none_of(there)
        self.key = self.table.key
        self.comparable = old is None or new is None or _keyed(old) == _keyed(new)
        theirs, ours = _shown(old), _shown(new)
        self.columns = tuple(name for name in ours if name in theirs and name not in self.key)
        self.only_live = tuple(name for name in theirs if name not in (*ours, *self.key))
        self.only_candidate = tuple(name for name in ours if name not in (*theirs, *self.key))

    @property
    def joined(self) -> str:
        """Rows of either, side by side; ``there`` is null where one has none."""
        using = ", ".join(quoted(name) for name in self.key)
        return (
            f"(select *, true as there from ({self.old}) as o) as l full join "
            f"(select *, true as there from ({self.new}) as n) as c using ({using})"
        )

    def differs(self, column: str) -> str:
        """Compared as text: a column may have another type in the other version."""
        return f"l.{quoted(column)}::text is distinct from c.{quoted(column)}::text"

    @property
    def any_differs(self) -> str:
        """Whether a row that both have differs anywhere."""
        found = " or ".join(self.differs(column) for column in self.columns)
        return f"(l.there and c.there and ({found or 'false'}))"


def _none_of(query: str) -> str:
    """No row of the same columns: a version that has no such table has no row in it."""
    return f"select * from ({query}) as absent where false"


def _keyed(table: TableSpec | None) -> list[tuple[str, type]]:
    return [(name, table.column(name).type) for name in table.key] if table else []


def _shown(table: TableSpec | None) -> tuple[str, ...]:
    """Columns that readers see."""
    if table is None:
        return ()
    return (*table.key, *(c.name for c in table.values), *(e.name for e in table.derived))


# --- what differs --------------------------------------------------------------------------------------


def _difference(connection: Connection, pair: _Pair) -> TableDifference:
    if not pair.comparable:
        return _counted_only(connection, pair)
    wanted = [
        "count(l.there)",
        "count(c.there)",
        "count(*) filter (where l.there is null)",
        "count(*) filter (where c.there is null)",
        f"count(*) filter (where {pair.any_differs})",
        *(f"count(*) filter (where l.there and c.there and {pair.differs(c)})" for c in pair.columns),
    ]
    row = connection.execute(f"select {', '.join(wanted)} from {pair.joined}".encode()).fetchone()
    assert row is not None
    old, new, added, removed, changed, *each = row
    columns = {name: count for name, count in zip(pair.columns, each, strict=True) if count}
    return TableDifference(
        pair.name, pair.view, old, new, True, added, removed, changed, columns, pair.only_live, pair.only_candidate
    )  # fmt: skip


def _counted_only(connection: Connection, pair: _Pair) -> TableDifference:
    """Rows of either side where no row of one can be found in the other."""
    old, new = (_count(connection, query) for query in (pair.old, pair.new))
    return TableDifference(
        pair.name, pair.view, old, new, False, None, None, None, {}, pair.only_live, pair.only_candidate
    )  # fmt: skip


def _count(connection: Connection, query: str) -> int:
    row = connection.execute(f"select count(*) from ({query}) as counted".encode()).fetchone()
    assert row is not None
    return int(row[0])


def _changed(connection: Connection, pair: _Pair, limit: int | None) -> Iterator[Changed]:
    keys = ", ".join(quoted(name) for name in pair.key)
    text = (
        f"select {keys}, l.there, c.there, {_side('l', pair.columns + pair.only_live)} "
        f"{_side('c', pair.columns + pair.only_candidate)} 0 from {pair.joined} "
        f"where l.there is null or c.there is null or {pair.any_differs} order by {keys}"
    )
    with connection.transaction(), connection.cursor(name="changed") as cursor:
        for row in cursor.execute((text + (f" limit {limit:d}" if limit is not None else "")).encode()):
            yield _row(pair, row)


def _side(side: str, columns: Sequence[str]) -> str:
    return "".join(f"{side}.{quoted(name)}, " for name in columns)


def _row(pair: _Pair, row: tuple[Any, ...]) -> Changed:
    size = len(pair.key)
    olds, news = pair.columns + pair.only_live, pair.columns + pair.only_candidate
    values = row[size + 2 :]
    old = dict(zip(olds, values, strict=False))
    new = dict(zip(news, values[len(olds) :], strict=False))
    key = dict(zip(pair.key, row, strict=False))
    return Changed(key, old if row[size] else None, new if row[size + 1] else None)
