"""The SQL of a projection's tables, generated from its declaration; the only place where SQL is generated.

A version lives in a PostgreSQL schema of its own, ``<name>_v<N>``; readers use views in `public`. Column
types beside a column c: see projection/merge.py. A Level column c is two columns, ``c__count`` and
``c__moved`` (the sum of the moves after the count), and a side table ``<table>__c__moves`` of those moves.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from tillroll.projection.declare import Column, Expression, Projection, Rule, TableSpec

__all__ = [
    "SCHEMA_LOCK",
    "create",
    "derived_query",
    "drop_views",
    "quoted",
    "staging",
    "stored_queries",
    "table_query",
    "views",
]

SCHEMA_LOCK = 0x7469_6C6E  # "tiln": held while tables are made or views replaced

_TYPES = {
    int: "bigint",
    float: "double precision",
    str: "text",
    bool: "boolean",
    date: "date",
    datetime: "timestamptz",
}
_ORDER = 'text collate "C"'


def quoted(name: str) -> str:
    """`name` as an identifier."""
    return '"' + name.replace('"', '""') + '"'


# --- tables and views --------------------------------------------------------------------------------


def create(projection: type[Projection]) -> str:
    """Statements that make the version's schema and tables."""
    schema = quoted(projection.schema())
    parts = [f"create schema {schema};"]
    for table in projection.tables:
        parts.append(_create_table(schema, table))
        parts += [_create_moves(schema, table, column) for column in table.ruled(Rule.LEVEL)]
    return "\n".join(parts)


def _create_table(schema: str, table: TableSpec) -> str:
    columns = [f"{quoted(name)} {_key_type(table.column(name))} not null" for name in table.key]
    columns += [f"{quoted(name)} {type_}" for name, type_ in _stored(table)]
    columns.append(f"primary key ({_names(table.key)})")
    # Rows are updated over and over; room in the page lets them stay there (HOT) and spares the index.
    return f"create table {schema}.{quoted(table.name)} ({', '.join(columns)}) with (fillfactor = 60);"


def _create_moves(schema: str, table: TableSpec, column: Column) -> str:
    keys = ", ".join(f"{quoted(name)} {_key_type(table.column(name))} not null" for name in table.key)
    name = quoted(moves_table(table, column))
    return (
        f"create table {schema}.{name} ({keys}, at timestamptz not null, delta {_TYPES[column.type]} not null);\n"
        f"create index on {schema}.{name} ({_names(table.key)}, at);"
    )


def views(projection: type[Projection]) -> str:
    """Statements that make the readers' views of this version, one per table and the declared ones."""
    return "\n".join(f"create view {quoted(name)} as {text};" for name, text in view_queries(projection))


def view_queries(projection: type[Projection]) -> Iterator[tuple[str, str]]:
    """(view, SELECT) in the order in which they can be made."""
    named = {table.name: quoted(table.view) for table in projection.tables}
    yield from ((table.view, table_query(projection, table)) for table in projection.tables)
    for name, text in projection.views.items():
        yield name, text.format(**named)


def drop_views(projection: type[Projection]) -> str:
    """Statements that remove the readers' views."""
    names = [name for name, _ in view_queries(projection)]
    return "\n".join(f"drop view if exists {quoted(name)};" for name in reversed(names))


def table_query(projection: type[Projection], table: TableSpec) -> str:
    """The SELECT of a table's rows as readers see them: key, values, derived columns."""
    inner = _plain_query(projection, table)
    if not table.derived:
        return inner
    derived = ", ".join(f"({e.sql}) as {quoted(e.name)}" for e in table.derived)
    return f"select *, {derived} from ({inner}) as columns"


def stored_queries(projection: type[Projection]) -> Iterator[tuple[str, str]]:
    """(table, SELECT) of all that is stored, as texts that are equal for what comes to the same, however it came."""
    schema = quoted(projection.schema())
    for table in projection.tables:
        names = [*table.key, *(name for name, _ in _stored(table))]
        columns = ", ".join(f"{quoted(name)}::text" for name in names)
        yield table.name, f"select {columns} from {schema}.{quoted(table.name)}"
        for column in table.ruled(Rule.LEVEL):
            name, keys = moves_table(table, column), _names(table.key)
            moves = f"select {keys}, at::text, sum(delta)::text as delta from {schema}.{quoted(name)}"
            yield name, f"{moves} group by {keys}, at having sum(delta) <> 0"


def derived_query(projection: type[Projection], table: TableSpec, expression: Expression) -> str:
    """A SELECT of one derived column that reads no row: to see whether there is such a column."""
    return f"select *, ({expression.sql}) as {quoted(expression.name)} from ({_plain_query(projection, table)}) as columns limit 0"


def _plain_query(projection: type[Projection], table: TableSpec) -> str:
    plain = [quoted(name) for name in table.key] + [_read(column) for column in table.values]
    return f"select {', '.join(plain)} from {quoted(projection.schema())}.{quoted(table.name)}"


def _read(column: Column) -> str:
    name = quoted(column.name)
    match column.rule:
        case Rule.LEVEL:
            count, moved = quoted(f"{column.name}__count"), quoted(f"{column.name}__moved")
            return f"coalesce({count}, 0) + {moved} as {name}"
        case Rule.APPEND:
            # Built by || in key order of text: jsonb sorts keys by length first, so sort again.
            return _list(name, 'key collate "C"')
        case Rule.UNION:
            # jsonb sorts texts by the database's locale.
            return _list(name, "value #>> '{}' collate \"C\"" if column.type is str else "value")
        case _:
            return name


def _list(name: str, order: str) -> str:
    return f"(select coalesce(jsonb_agg(value order by {order}), '[]') from jsonb_each({name})) as {name}"


def _stored(table: TableSpec) -> Iterator[tuple[str, str]]:
    """(column, type) of everything a row stores beside its key."""
    for column in table.values:
        for name, type_ in _staged(column):
            empty = _empty(column, name)
            yield name, f"{type_} not null default {empty}" if empty else type_


def _staged(column: Column) -> Iterator[tuple[str, str]]:
    """(column, type) of what a reduced contribution carries for `column`."""
    name, type_ = column.name, _TYPES[column.type]
    match column.rule:
        case Rule.FIRST | Rule.LATEST:
            yield from ((name, type_), (f"{name}__order", _ORDER))
        case Rule.LEVEL:
            yield from (
                (f"{name}__count", type_),
                (f"{name}__count_at", "timestamptz"),
                (f"{name}__order", _ORDER),
                (f"{name}__moved", type_),
            )
        case Rule.APPEND | Rule.UNION:
            yield name, "jsonb"
        case Rule.MIN | Rule.MAX if column.type is str:
            yield name, _ORDER
        case _:
            yield name, type_


def stored_names(column: Column) -> list[str]:
    """Names of the columns that a contribution carries for `column`, in the order of the staging table."""
    return [name for name, _ in _staged(column)]


def _empty(column: Column, stored: str) -> str | None:
    """What stands for no contribution in a stored column that cannot be null."""
    if column.rule in (Rule.APPEND, Rule.UNION):
        return "'{}'"
    return "0" if column.rule is Rule.SUM or stored == f"{column.name}__moved" else None


def _key_type(column: Column) -> str:
    # Bytewise order: what Polars sorts by, faster to compare, and the same under every locale.
    return _ORDER if column.type is str else _TYPES[column.type]


def moves_table(table: TableSpec, column: Column) -> str:
    """Name of the side table of a Level column."""
    return f"{table.name}__{column.name}__moves"


# --- merging -----------------------------------------------------------------------------------------


class staging:  # noqa: N801 - a namespace of statements for one table
    """Statements that merge reduced contributions of one table.

    Contributions are merged from where they are: copied into `rows`, or given as JSON. That locks every key of
    the batch, in key order, so that two processes never wait for each other in a circle. A Level's moves come
    into its side table after that, and last go those that a count supersedes: by then the counts of the batch's keys stand still
    and all moves that others committed are in sight.
    """

    def __init__(self, projection: type[Projection], table: TableSpec):
        self._table = table
        self._schema = quoted(projection.schema())
        self.target = f"{self._schema}.{quoted(table.name)}"
        self.rows = quoted(f"stage_{projection.schema()}_{table.name}")
        self.levels = table.ruled(Rule.LEVEL)

    def moves(self, column: Column) -> str:
        """The side table of a Level column."""
        return f"{self._schema}.{quoted(moves_table(self._table, column))}"

    def create(self) -> str:
        """The temporary table, emptied by every commit."""
        return f"create temporary table if not exists {self.rows} ({self._columns()}) on commit delete rows;"

    def analyze(self) -> str:
        """What the planner has to know of what was copied: the keys, by which the rest is looked up."""
        return f"analyze {self.rows} ({_names(self._table.key)})"

    def copied(self) -> str:
        """Contributions that were copied into `rows`, as a source."""
        return f"{self.rows} as st"

    def given(self) -> str:
        """Contributions that come with the statement, as a source: %s is a JSON array of rows."""
        return f"json_to_recordset(%s) as st ({self._columns()})"

    def _columns(self) -> str:
        columns = [f"{quoted(name)} {_key_type(self._table.column(name))}" for name in self._table.key]
        columns += [f"{quoted(n)} {t}" for c in self._table.values for n, t in _staged(c)]
        return ", ".join(columns)

    def merge(self, source: str) -> str:
        """Take the contributions of `source` into the table."""
        table = self._table
        names = [*table.key, *(n for c in table.values for n, _ in _staged(c))]
        sets = [_set(column) for column in table.values]
        action = f"update set {', '.join(sets)}" if sets else "nothing"
        return (
            f"insert into {self.target} as t ({_names(names)}) select {_names(names)} from {source} "
            f"order by {_names(table.key)} on conflict ({_names(table.key)}) do {action}"
        )

    def supersede(self, column: Column, source: str) -> str:
        """Take away the moves that happened up to the newest count of their key, of the keys in `source`."""
        at, moved = quoted(f"{column.name}__count_at"), quoted(f"{column.name}__moved")
        keys = self._table.key
        return f"""
            with gone as (
                delete from {self.moves(column)} s using {source} join {self.target} t using ({_names(keys)})
                 where t.{at} is not null and {_same("s", "st", keys)} and s.at <= t.{at}
                returning {_names(keys, "s")}, s.delta),
            sums as (select {_names(keys)}, sum(delta) as delta from gone group by {_names(keys)})
            update {self.target} t set {moved} = t.{moved} - sums.delta from sums
             where {_same("t", "sums", keys)}"""


def _set(column: Column) -> str:
    """How a stored value takes in a contribution; what is absent (null) changes nothing."""
    name = quoted(column.name)
    match column.rule:
        case Rule.SUM:
            return f"{name} = t.{name} + excluded.{name}"
        case Rule.MIN:
            return f"{name} = least(t.{name}, excluded.{name})"
        case Rule.MAX:
            return f"{name} = greatest(t.{name}, excluded.{name})"
        case Rule.FIRST:
            return _by_order((column.name,), column.name, "<", "least")
        case Rule.LATEST:
            return _by_order((column.name,), column.name, ">", "greatest")
        case Rule.LEVEL:
            count, moved = (
                (f"{column.name}__count", f"{column.name}__count_at"),
                quoted(f"{column.name}__moved"),
            )
            newest = _by_order(count, column.name, ">", "greatest")
            return f"{newest}, {moved} = t.{moved} + excluded.{moved}"
        case _:
            return f"{name} = t.{name} || excluded.{name}"


def _by_order(names: Iterable[str], column: str, compare: str, extreme: str) -> str:
    order = quoted(f"{column}__order")
    wins = f"t.{order} is null or excluded.{order} {compare} t.{order}"
    sets = [f"{quoted(n)} = case when {wins} then excluded.{quoted(n)} else t.{quoted(n)} end" for n in names]
    return ", ".join([*sets, f"{order} = {extreme}(t.{order}, excluded.{order})"])


def _names(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}.{quoted(name)}" if prefix else quoted(name) for name in names)


def _same(left: str, right: str, key: Iterable[str]) -> str:
    return " and ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in key)
