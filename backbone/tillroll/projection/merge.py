"""Merging: contributions of handlers into one row per key, by the declared rules.

`reduce` is a monoid: reducing parts and then their union gives what reducing everything at once gives, in
any order. The store merges what is left with the rows it holds by the same rules in SQL (store/sql.py);
`finish` is the reader's side of it where there is no database.

Internal columns beside a column c: ``c__order`` (First, Latest, Append: the place in time of its value),
``c__count``, ``c__count_at``, ``c__order`` (Level: the newest count). A Level's moves are rows of their own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tillroll.projection.declare import Column, Rule, TableSpec

__all__ = [
    "AT",
    "ORDER",
    "TableDeltas",
    "complete",
    "contributions",
    "finish",
    "needs_order",
    "needs_time",
    "order_key",
    "reduce",
    "stored",
    "weigh",
    "with_moved",
]

ORDER, AT = "_order", "_at"
"""Columns that the runtime adds to a handler's rows: order key (order_key), and occurred_at."""

FEW_ROWS = 50  # for which it pays to see whether each has a key of its own

_MICROS_TO_YEAR_1 = 62_135_596_800_000_000
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class TableDeltas:
    """Reduced contributions to one table.

    rows: one row per key. moves: per Level column, rows of key, `at`, `delta`.
    """

    rows: pl.DataFrame
    moves: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def order_key(occurred_at: pl.Expr, source_seq: pl.Expr, event_id: pl.Expr, ordinal: pl.Expr) -> pl.Expr:
    """Text that sorts like (occurred_at, coalesce(source_seq, -1), event_id, ordinal).

    Digits padded to a fixed width; the running number carries its length in front instead, being mostly
    absent or short.
    """
    seq = (source_seq.fill_null(-1).clip(-1).cast(pl.Int128) + 1).cast(pl.String)
    return pl.concat_str(
        (occurred_at.to_physical() + _MICROS_TO_YEAR_1).cast(pl.String).str.zfill(18),
        seq.str.len_bytes().cast(pl.String).str.zfill(2),
        seq,
        event_id,
        ordinal.cast(pl.String).str.zfill(6),
    )


def weigh(table: TableSpec, rows: pl.DataFrame, weight: int) -> pl.DataFrame:
    """A handler's rows counted with `weight`: -1 takes them back.

    Only sums and moves can be taken back by counting; the other columns keep what they hold until the key is
    folded again from the log, so they get no contribution.
    """
    if weight == 1:
        return rows
    additive = {column.name for column in table.ruled(Rule.SUM, Rule.LEVEL)}
    declared = {name for c in table.values for name in (c.name, f"{c.name}_count")}
    kept = [name for name in rows.columns if name not in declared or name in additive]
    return rows.select(kept).with_columns(pl.col(c) * weight for c in kept if c in additive)


# --- a handler's rows -> contributions --------------------------------------------------------------


def needs_order(table: TableSpec, given: Iterable[str]) -> bool:
    """Whether rows with the columns `given` contribute anything that its place in time decides."""
    names = {c.name for c in table.ruled(Rule.FIRST, Rule.LATEST, Rule.APPEND)}
    return not (names | {f"{c.name}_count" for c in table.ruled(Rule.LEVEL)}).isdisjoint(given)


def needs_time(table: TableSpec, given: Iterable[str]) -> bool:
    """Whether rows with the columns `given` count or move a Level."""
    levels = table.ruled(Rule.LEVEL)
    return not {name for c in levels for name in (c.name, f"{c.name}_count")}.isdisjoint(given)


def contributions(table: TableSpec, rows: pl.DataFrame) -> TableDeltas:
    """A handler's rows (key, some of the columns, ORDER and AT as needed) in the form that `reduce` reduces.

    Columns that are not given stay away: most handlers touch few of them.
    """
    columns: list[str | pl.Expr] = [*table.key]
    moves = {}
    for column in table.values:
        if column.name in rows.columns and column.rule is Rule.LEVEL:
            moves[column.name] = _moves(table, column, rows)
        elif column.name in rows.columns:
            columns += _raw(column, rows.schema[column.name])
        if column.rule is Rule.LEVEL and f"{column.name}_count" in rows.columns:
            columns += _raw_count(column)
    plain = [column for column in columns if isinstance(column, str)]
    return TableDeltas(rows[plain] if len(plain) == len(columns) else rows.select(columns), moves)


def _raw(column: Column, given: pl.DataType) -> Iterator[str | pl.Expr]:
    name = column.name
    value = pl.col(name).cast(column.dtype)
    there = pl.when(value.is_not_null())
    match column.rule:
        case Rule.FIRST | Rule.LATEST:
            yield from (value, there.then(ORDER).alias(f"{name}__order"))
        case Rule.APPEND | Rule.UNION:
            key = pl.col(ORDER) if column.rule is Rule.APPEND else value.cast(pl.String)
            entry = pl.struct(key.alias("k"), value.alias("v"))
            yield there.then(pl.concat_list(entry)).alias(name)
        case _:
            yield name if given == column.dtype else value


def _raw_count(column: Column) -> Iterator[pl.Expr]:
    count = pl.col(f"{column.name}_count").cast(column.dtype)
    there = pl.when(count.is_not_null())
    yield count.alias(f"{column.name}__count")
    yield there.then(AT).alias(f"{column.name}__count_at")
    yield there.then(ORDER).alias(f"{column.name}__order")


def _moves(table: TableSpec, column: Column, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col(column.name).is_not_null()).select(
        *table.key, at=pl.col(AT), delta=pl.col(column.name).cast(column.dtype)
    )


# --- contributions -> one row per key ---------------------------------------------------------------


def reduce(table: TableSpec, parts: Sequence[TableDeltas]) -> TableDeltas:
    """One row per key; moves up to the newest count of their key dropped."""
    rows = parts[0].rows if len(parts) == 1 else pl.concat([part.rows for part in parts], how="diagonal")
    merged = rows
    if not _are_reduced(table, rows):
        merged = rows.group_by(table.key).agg(*(e for c in table.values for e in _reduced(c, rows.columns)))
    moves = {c.name: _reduced_moves(table, c, parts, merged) for c in table.ruled(Rule.LEVEL)}
    return TableDeltas(merged, {name: frame for name, frame in moves.items() if len(frame)})


def _are_reduced(table: TableSpec, rows: pl.DataFrame) -> bool:
    """Whether there is one row per key already: so it is with few events, and to see it takes a tenth of grouping them."""
    if len(rows) > FEW_ROWS or table.ruled(Rule.APPEND, Rule.UNION):
        return False
    if any(rows.schema[name].is_temporal() for name in table.key):  # which Python may not be able to hold
        return False
    sums = {column.name for column in table.ruled(Rule.SUM)}.intersection(rows.columns)
    if any(rows[name].null_count() for name in sums):  # which grouping makes 0
        return False
    return len(set(rows[list(table.key)].iter_rows())) == len(rows)


def _reduced(column: Column, given: Collection[str]) -> Iterator[pl.Expr]:
    name = column.name
    order = f"{name}__order"
    if (order if column.rule is Rule.LEVEL else name) not in given:
        return
    match column.rule:
        case Rule.SUM:
            yield pl.col(name).sum()
        case Rule.MIN:
            yield pl.col(name).min()
        case Rule.MAX:
            yield pl.col(name).max()
        case Rule.FIRST:
            yield from (pl.col(name).min_by(order), pl.col(order).min())
        case Rule.LATEST:
            yield from (pl.col(name).max_by(order), pl.col(order).max())
        case Rule.LEVEL:
            yield from (pl.col(f"{name}__count").max_by(order), pl.col(f"{name}__count_at").max_by(order))
            yield pl.col(order).max()
        case _:
            yield pl.col(name).drop_nulls().list.explode(empty_as_null=False).unique()


def _reduced_moves(
    table: TableSpec, column: Column, parts: Sequence[TableDeltas], merged: pl.DataFrame
) -> pl.DataFrame:
    given = [part.moves[column.name] for part in parts if column.name in part.moves]
    moves = pl.concat(given) if given else pl.DataFrame()
    counted = f"{column.name}__count_at"
    if not given or counted not in merged.columns:
        return moves
    return _after_counts(table, moves, merged.select(*table.key, counted=counted).drop_nulls("counted"))


def _after_counts(table: TableSpec, moves: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
    """Moves dated strictly after the count of their key; a count at T includes what happened at T."""
    if not len(counted):
        return moves
    later = pl.col("counted").is_null() | (pl.col("at") > pl.col("counted"))
    return moves.join(counted, on=table.key, how="left").filter(later).drop("counted")


def complete(table: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Reduced rows with every column that a contribution can have, null (a Sum: 0) where none was given."""
    absent = []
    for column in table.values:
        for name, dtype in stored(column):
            if name not in rows.columns:
                absent.append(pl.lit(0 if column.rule is Rule.SUM else None, dtype).alias(name))
    return rows.with_columns(absent) if absent else rows


def stored(column: Column) -> list[tuple[str, pl.DataType]]:
    """(name, type) of what a reduced contribution carries for `column`, a Level's moves aside."""
    name, dtype, order = column.name, column.dtype, f"{column.name}__order"
    match column.rule:
        case Rule.FIRST | Rule.LATEST:
            return [(name, dtype), (order, pl.String())]
        case Rule.LEVEL:
            return [(f"{name}__count", dtype), (f"{name}__count_at", _INSTANT), (order, pl.String())]
        case Rule.APPEND | Rule.UNION:
            return [(name, pl.List(pl.Struct({"k": pl.String(), "v": dtype})))]
        case _:
            return [(name, dtype)]


# --- one row per key -> what a reader sees ----------------------------------------------------------


def finish(table: TableSpec, deltas: TableDeltas) -> pl.DataFrame:
    """The table's rows as readers see them: key, values, derived columns; in no particular order.

    Derived columns are evaluated by Polars' SQL; PostgreSQL evaluates the same text in its view.
    """
    rows = with_moved(table, deltas).select(*table.key, *(_finished(column) for column in table.values))
    return rows.with_columns(pl.sql_expr(e.sql).alias(e.name) for e in table.derived)


def with_moved(table: TableSpec, deltas: TableDeltas) -> pl.DataFrame:
    """The rows with ``c__moved`` for every Level column c: the sum of the key's moves, 0 where it has none."""
    rows = complete(table, deltas.rows)
    for column in table.ruled(Rule.LEVEL):
        moved = f"{column.name}__moved"
        if column.name not in deltas.moves:
            rows = rows.with_columns(pl.lit(0, column.dtype).alias(moved))
            continue
        sums = deltas.moves[column.name].group_by(table.key).agg(pl.col("delta").sum().alias(moved))
        rows = rows.join(sums, on=table.key, how="left").with_columns(pl.col(moved).fill_null(0))
    return rows


def _finished(column: Column) -> pl.Expr:
    name = column.name
    match column.rule:
        case Rule.LEVEL:
            return (pl.col(f"{name}__count").fill_null(0) + pl.col(f"{name}__moved")).alias(name)
        case Rule.APPEND:
            return pl.col(name).fill_null([]).list.sort().list.eval(pl.element().struct.field("v"))
        case Rule.UNION:
            return pl.col(name).fill_null([]).list.eval(pl.element().struct.field("v")).list.sort()
        case _:
            return pl.col(name)
