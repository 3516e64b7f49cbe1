"""Reading a read model: rows of a view, by column and value.

Names come from the catalogue and values travel as parameters, so nothing of a question is ever part of
the SQL but identifiers that exist.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tillroll.database import Connection
from tillroll.errors import UsageError
from tillroll.projection.values import value_of
from tillroll.store.postgres import PostgresStore
from tillroll.store.sql import quoted

__all__ = ["Answer", "Question", "ViewColumn", "query", "tie_breakers", "typed", "views"]

ROWS_AT_ONCE = 2_000  # of a server-side cursor: memory does not grow with the answer


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column of a view: its name, and its type as PostgreSQL writes it. key: it tells rows apart."""

    name: str
    type: str
    key: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a view.

    where: (column, value) as text; several values of one column mean any of them, an empty one means empty
    or unknown. order_by: columns, descending with a leading ``-``; by key unless given. limit: None = all.
    """

    view: str
    where: Sequence[tuple[str, str]] = ()
    order_by: Sequence[str] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns, and rows to be read once while the query is open. Lists come as Python lists."""

    columns: Sequence[ViewColumn]
    rows: Iterator[tuple[Any, ...]] = field(repr=False)


@contextmanager
def query(store: PostgresStore, question: Question) -> Iterator[Answer]:
    """Ask `question`; the answer holds as long as the context.

    Raises UsageError for a view, column or value that cannot be meant, naming what there is.
    """
    with store.connection() as connection:
        columns = _columns(connection, question.view)
        text, values = _statement(question, columns)
        with connection.cursor(name="answer") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            yield Answer(columns, iter(cursor.execute(text.encode(), values)))


def views(store: PostgresStore) -> list[str]:
    """Names of the views that readers have, sorted."""
    with store.connection() as connection:
        return _views(connection)


def _views(connection: Connection) -> list[str]:
    rows = connection.execute(_BEHIND + "select distinct view::regclass::text from behind").fetchall()
    return sorted(row[0].strip('"') for row in rows)


def _columns(connection: Connection, view: str) -> list[ViewColumn]:
    rows = connection.execute(_BEHIND + _COLUMNS, {"view": view}).fetchall()
    if not rows:
        there = ", ".join(_views(connection))
        raise UsageError(
            f"there is no read model {view!r}; there are {there}; `tillroll project NAME --once` makes that of a projection"
            if there
            else f"there is no read model {view!r}, and no other yet; `tillroll project --once` makes them"
        )
    return [ViewColumn(*row) for row in rows]


# Views in sight, and the tables of projections behind them, through views in between.
_BEHIND = """
    with recursive uses as (
        select distinct r.ev_class as view, d.refobjid as used
          from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
          join pg_class u on u.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
         where d.refobjid <> r.ev_class and pg_table_is_visible(r.ev_class)),
    deep as (select view, used from uses union select d.view, u.used from deep d join uses u on u.view = d.used),
    behind as (
        select view, t.oid as used
          from deep join pg_class t on t.oid = used and t.relkind = 'r' join pg_namespace n on n.oid = t.relnamespace
          join tillroll.projections p on n.nspname = p.name || '_v' || p.version)
"""

_COLUMNS = """
    , keys as (
        select distinct k.attname from behind join pg_index i on i.indrelid = used and i.indisprimary
          join pg_attribute k on k.attrelid = used and k.attnum = any(i.indkey)
         where view = to_regclass(quote_ident(%(view)s)))
    select a.attname, format_type(a.atttypid, a.atttypmod), a.attname in (select attname from keys)
      from pg_attribute a
     where a.attrelid = to_regclass(quote_ident(%(view)s)) and a.attnum > 0
       and a.attrelid in (select view from behind)
     order by a.attnum"""


# --- from a question to SQL ----------------------------------------------------------------------------


def _statement(question: Question, columns: Sequence[ViewColumn]) -> tuple[str, dict[str, Any]]:
    known = {column.name: column for column in columns}
    conditions, values = _conditions(question, known)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = ", ".join(_orders(question, known)) or "1"
    limit = " limit %(limit)s" if question.limit is not None else ""
    text = f"select * from {quoted(question.view)}{where} order by {order}{limit}"
    return text, values | {"limit": question.limit}


def _conditions(question: Question, known: Mapping[str, ViewColumn]) -> tuple[list[str], dict[str, Any]]:
    wanted: dict[str, list[str]] = {}
    for name, value in question.where:
        wanted.setdefault(_known(name, known, question.view).name, []).append(value)
    conditions, values = [], dict[str, Any]()
    for at, (name, texts) in enumerate(wanted.items()):
        column = known[name]
        values[f"v{at}"] = [typed(column, text) for text in texts if text]
        alternatives = [f"{quoted(name)} = any(%(v{at})s::{column.type}[])"]
        if not all(texts):
            alternatives.append(f"{quoted(name)} is null")
            alternatives += [f"{quoted(name)} = ''"] if column.type == "text" else []
        conditions.append(f"({' or '.join(alternatives)})")
    return conditions, values


def _orders(question: Question, known: Mapping[str, ViewColumn]) -> Iterator[str]:
    for wish in question.order_by:
        name = quoted(_known(wish.removeprefix("-"), known, question.view).name)
        yield f"{name} desc nulls last" if wish.startswith("-") else name
    yield from (quoted(column.name) for column in known.values() if column.key)
    yield from (quoted(name) for name in tie_breakers(known.values()))


def _known(name: str, known: Mapping[str, ViewColumn], view: str) -> ViewColumn:
    if name not in known:
        raise UsageError(f"{view} has no column {name!r}; it has {', '.join(known)}")
    return known[name]


def tie_breakers(columns: Iterable[ViewColumn]) -> list[str]:
    """By what rows of one key are put in order: a view may join tables, or call a key by another name."""
    return [column.name for column in columns if not column.key and column.type in _TYPES]


# --- values --------------------------------------------------------------------------------------------


def typed(column: ViewColumn, text: str) -> Any:
    """`text` as a value of the column's type; a time without a zone is taken as UTC.

    Raises UsageError when it is none, or the column is a list.
    """
    type_ = _TYPES.get(column.type)
    if type_ is None:
        raise UsageError(f"{column.name} is a list ({column.type}); rows cannot be chosen by it")
    return value_of(column.name, type_, text)


_TYPES: dict[str, type] = {
    "bigint": int,
    "integer": int,
    "numeric": float,
    "double precision": float,
    "text": str,
    "boolean": bool,
    "date": date,
    "timestamp with time zone": datetime,
}
