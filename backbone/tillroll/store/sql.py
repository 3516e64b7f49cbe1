"""The SQL of a projection's tables, generated from its declaration; the only place where SQL is generated.

A version lives in a PostgreSQL schema of its own, ``<name>_v<N>``; readers use views in `public`. Column
types beside a column c: see projection/merge.py. A Level column c is two columns, ``c__count`` and
``c__moved`` (the sum of the moves after the count), and a side table ``<table>__c__moves`` of those moves.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from tillroll.projection.declare import Column, Projection, Rule, TableSpec

__all__ = ["create", "drop_views", "staging", "views"]

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
    yield from ((table.view, _table_view(projection, table)) for table in projection.tables)
    for name, text in projection.views.items():
        yield name, text.format(**named)


def drop_views(projection: type[Projection]) -> str:
    """Statements that remove the readers' views."""
    names = [name for name, _ in view_queries(projection)]
    return "\n".join(f"drop view if exists {quoted(name)};" for name in reversed(names))


def _table_view(projection: type[Projection], table: TableSpec) -> str:
    plain = [quoted(name) for name in table.key] + [_read(column) for column in table.values]
    inner = f"select {', '.join(plain)} from {quoted(projection.schema())}.{quoted(table.name)}"
    if not table.derived:
        return inner
    derived = ", ".join(f"({e.sql}) as {quoted(e.name)}" for e in table.derived)
    return f"select *, {derived} from ({inner}) as columns"


def _read(column: Column) -> str:
    name = quoted(column.name)
    match column.rule:
        case Rule.LEVEL:
            count, moved = quoted(f"{column.name}__count"), quoted(f"{column.name}__moved")
            return f"coalesce({count}, 0) + {moved} as {name}"
        case Rule.APPEND:
            # Built by || in key order of text: jsonb sorts keys by length first, so sort again.
            return f'(select jsonb_agg(value order by key collate "C") from jsonb_each({name})) as {name}'
        case Rule.UNION:
            return f"(select jsonb_agg(value order by value) from jsonb_each({name})) as {name}"
        case _:
            return name


def _stored(table: TableSpec) -> Iterator[tuple[str, str]]:
    """(column, type) of everything a row stores beside its key."""
    for column in table.values:
        for name, type_ in _staged(column):
            zero = " not null default 0" if column.rule is Rule.SUM else ""
            zero = " not null default '{}'" if column.rule in (Rule.APPEND, Rule.UNION) else zero
            yield name, type_ + zero
        if column.rule is Rule.LEVEL:
            yield f"{column.name}__moved", f"{_TYPES[column.type]} not null default 0"


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
            )
        case Rule.APPEND | Rule.UNION:
            yield name, "jsonb"
        case _:
            yield name, type_


def _key_type(column: Column) -> str:
    # Bytewise order: what Polars sorts by, faster to compare, and the same under every locale.
    return _ORDER if column.type is str else _TYPES[column.type]


def moves_table(table: TableSpec, column: Column) -> str:
    """Name of the side table of a Level column."""
    return f"{table.name}__{column.name}__moves"


# --- merging -----------------------------------------------------------------------------------------


class staging:  # noqa: N801 - a namespace of statements for one table
    """Statements that merge reduced contributions of one table: create, copy, merge, in this order.

    All keys of a batch are locked by the first merge, in key order, so that two processes never wait for
    each other in a circle; what reads the counts comes after it and sees what the other one committed.
    """

    def __init__(self, projection: type[Projection], table: TableSpec):
        self._table = table
        self._target = f"{quoted(projection.schema())}.{quoted(table.name)}"
        self._schema = quoted(projection.schema())
        self.rows = quoted(f"stage_{projection.schema()}_{table.name}")
        self.levels = table.ruled(Rule.LEVEL)

    def moves(self, column: Column) -> str:
        """The staging table of a Level column's moves."""
        return quoted(f"{self.rows[1:-1]}__{column.name}")

    def create(self) -> str:
        """Temporary tables, emptied by every commit."""
        keys = [f"{quoted(name)} {_key_type(self._table.column(name))}" for name in self._table.key]
        rows = keys + [f"{quoted(n)} {t}" for c in self._table.values for n, t in _staged(c)]
        parts = [_temporary(self.rows, rows)]
        for column in self.levels:
            more = ["at timestamptz", f"delta {_TYPES[column.type]}"]
            parts.append(_temporary(self.moves(column), keys + more))
        return "\n".join(parts)

    def merge(self) -> list[str]:
        """Statements that merge what was copied into the staging tables."""
        return [self._upsert(), *(self._level(column) for column in self.levels)]

    def _upsert(self) -> str:
        table = self._table
        names = [*table.key, *(n for c in table.values for n, _ in _staged(c))]
        sets = [_set(column) for column in table.values]
        action = f"update set {', '.join(sets)}" if sets else "nothing"
        return (
            f"insert into {self._target} as t ({_names(names)}) select {_selected(table)} from {self.rows} "
            f"order by {_names(table.key)} on conflict ({_names(table.key)}) do {action}"
        )

    def _level(self, column: Column) -> str:
        """Drop the moves that a newer count supersedes, keep those after it, and bring their sum up to date."""
        table, stage, name = self._table, self.moves(column), column.name
        side = f"{self._schema}.{quoted(moves_table(table, column))}"
        at, moved = quoted(f"{name}__count_at"), quoted(f"{name}__moved")
        keys = _names(table.key)
        return f"""
            with gone as (
                delete from {side} s using {self.rows} st join {self._target} t using ({keys})
                 where st.{at} is not null and {_same("s", "st", table.key)} and s.at <= t.{at}
                returning {_names(table.key, "s")}, s.delta),
            kept as (
                insert into {side} select {_names(table.key, "m")}, m.at, m.delta
                  from {stage} m join {self._target} t using ({keys}) where t.{at} is null or m.at > t.{at}
                returning {keys}, delta),
            changes as (
                select {keys}, sum(delta) as delta
                  from (select {keys}, -delta as delta from gone union all select {keys}, delta from kept) as both_ways
                 group by {keys})
            update {self._target} t set {moved} = t.{moved} + changes.delta from changes
             where {_same("t", "changes", table.key)} and changes.delta <> 0"""


def _temporary(name: str, columns: Iterable[str]) -> str:
    return f"create temporary table if not exists {name} ({', '.join(columns)}) on commit delete rows;"


def _selected(table: TableSpec) -> str:
    """Staged columns as they are inserted: a sum that is absent is no contribution, hence 0."""
    out = [quoted(name) for name in table.key]
    for column in table.values:
        for name, _ in _staged(column):
            bare = quoted(name)
            empty = {Rule.SUM: "0", Rule.APPEND: "'{}'", Rule.UNION: "'{}'"}.get(column.rule)
            out.append(f"coalesce({bare}, {empty})" if empty else bare)
    return ", ".join(out)


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
            return _by_order(
                (f"{column.name}__count", f"{column.name}__count_at"), column.name, ">", "greatest"
            )
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
