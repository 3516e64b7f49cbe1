"""Merging: contributions of handlers into one row per key, by the declared rules.

`reduce` is a monoid: reducing parts and then their union gives what reducing everything at once gives, in
any order. The store merges what is left with the rows it holds by the same rules in SQL (store/sql.py);
`finish` is the reader's side of it where there is no database.

Internal columns beside a column c: ``c__order`` (First, Latest, Append: the place in time of its value),
``c__count``, ``c__count_at``, ``c__order`` (Level: the newest count). A Level's moves are rows of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tillroll.projection.declare import Column, Rule, TableSpec

__all__ = ["AT", "ORDER", "TableDeltas", "finish", "order_key", "reduce", "weigh"]

ORDER, AT = "_order", "_at"
"""Columns that the runtime adds to a handler's rows: order key (order_key), and occurred_at."""

_MICROS_TO_YEAR_1 = 62_135_596_800_000_000
_ITEM = "k", "v"  # entries of an Append or Union: what they are told apart by, and the value


@dataclass(frozen=True, slots=True)
class TableDeltas:
    """Reduced contributions to one table.

    rows: one row per key. moves: per Level column, rows of key, `at`, `delta`, one per key and instant.
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
    kept = [name for name in rows.columns if name in table.key or name in (ORDER, AT) or name in additive]
    return rows.select(kept).with_columns(pl.col(c) * weight for c in kept if c in additive)


# --- a handler's rows -> contributions --------------------------------------------------------------


def contributions(table: TableSpec, rows: pl.DataFrame) -> TableDeltas:
    """A handler's rows (key, declared columns, ORDER, AT) in the form that `reduce` reduces."""
    columns = [*table.key]
    for column in table.values:
        columns += _raw(column, rows)
    moves = {c.name: _moves(table, c, rows) for c in table.ruled(Rule.LEVEL) if c.name in rows.columns}
    return TableDeltas(rows.select(columns), moves)


def _raw(column: Column, rows: pl.DataFrame) -> Iterator[pl.Expr]:
    name, given = column.name, column.name in rows.columns
    value = pl.col(name).cast(column.dtype) if given else pl.lit(None, column.dtype)
    order = pl.when(value.is_not_null()).then(ORDER) if given else pl.lit(None, pl.String)
    match column.rule:
        case Rule.LEVEL:
            yield from _raw_count(column, rows)
        case Rule.FIRST | Rule.LATEST:
            yield from (value.alias(name), order.alias(f"{name}__order"))
        case Rule.APPEND | Rule.UNION:
            key = order if column.rule is Rule.APPEND else value.cast(pl.String)
            entry = pl.struct(key.alias("k"), value.alias("v"))
            yield pl.when(value.is_not_null()).then(pl.concat_list(entry)).alias(name)
        case _:
            yield value.alias(name)


def _raw_count(column: Column, rows: pl.DataFrame) -> Iterator[pl.Expr]:
    name, given = f"{column.name}_count", f"{column.name}_count" in rows.columns
    value = pl.col(name).cast(column.dtype) if given else pl.lit(None, column.dtype)
    there = pl.when(value.is_not_null()) if given else pl.when(False)
    yield value.alias(f"{column.name}__count")
    yield there.then(pl.col(AT) if given else pl.lit(None, pl.Datetime("us", "UTC"))).alias(
        f"{column.name}__count_at"
    )
    yield there.then(pl.col(ORDER) if given else pl.lit(None, pl.String)).alias(f"{column.name}__order")


def _moves(table: TableSpec, column: Column, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col(column.name).is_not_null()).select(
        *table.key, at=pl.col(AT), delta=pl.col(column.name).cast(column.dtype)
    )


# --- contributions -> one row per key ---------------------------------------------------------------


def reduce(table: TableSpec, parts: Sequence[TableDeltas]) -> TableDeltas:
    """One row per key, one move per key and instant, moves before the newest count dropped."""
    rows = pl.concat([part.rows for part in parts])
    merged = rows.group_by(table.key).agg(*(e for c in table.values for e in _reduced(c)))
    moves = {c.name: _reduced_moves(table, c, parts, merged) for c in table.ruled(Rule.LEVEL)}
    return TableDeltas(merged, {name: frame for name, frame in moves.items() if len(frame)})


def _reduced(column: Column) -> Iterator[pl.Expr]:
    name = column.name
    order = f"{name}__order"
    match column.rule:
        case Rule.SUM:
            yield pl.col(name).sum()
        case Rule.MIN:
            yield pl.col(name).min()
        case Rule.MAX:
            yield pl.col(name).max()
        case Rule.FIRST:
            yield from (pl.col(c).sort_by(order, nulls_last=True).first() for c in (name, order))
        case Rule.LATEST:
            yield from (pl.col(c).sort_by(order, nulls_last=False).last() for c in (name, order))
        case Rule.LEVEL:
            newest = (f"{name}__count", f"{name}__count_at", order)
            yield from (pl.col(c).sort_by(order, nulls_last=False).last() for c in newest)
        case _:
            yield pl.col(name).drop_nulls().list.explode(empty_as_null=False).unique()


def _reduced_moves(
    table: TableSpec, column: Column, parts: Sequence[TableDeltas], merged: pl.DataFrame
) -> pl.DataFrame:
    given = [part.moves[column.name] for part in parts if column.name in part.moves]
    if not given:
        return pl.DataFrame()
    moves = pl.concat(given).group_by(*table.key, "at").agg(pl.col("delta").sum())
    counted = merged.select(*table.key, counted=f"{column.name}__count_at").drop_nulls("counted")
    return _after_counts(table, moves, counted)


def _after_counts(table: TableSpec, moves: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
    """Moves dated strictly after the count of their key; a count at T includes what happened at T."""
    if not len(counted):
        return moves
    later = pl.col("counted").is_null() | (pl.col("at") > pl.col("counted"))
    return moves.join(counted, on=table.key, how="left").filter(later).drop("counted")


# --- one row per key -> what a reader sees ----------------------------------------------------------


def finish(table: TableSpec, deltas: TableDeltas) -> pl.DataFrame:
    """The table's rows as readers see them: key, values, derived columns; in no particular order.

    Derived columns are evaluated by Polars' SQL; PostgreSQL evaluates the same text in its view.
    """
    rows = with_moved(table, deltas).select(*table.key, *(_finished(column) for column in table.values))
    return rows.with_columns(pl.sql_expr(e.sql).alias(e.name) for e in table.derived)


def with_moved(table: TableSpec, deltas: TableDeltas) -> pl.DataFrame:
    """The rows with ``c__moved`` for every Level column c: the sum of the key's moves, 0 where it has none."""
    rows = deltas.rows
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
            return pl.col(name).list.sort().list.eval(pl.element().struct.field("v"))
        case Rule.UNION:
            return pl.col(name).list.eval(pl.element().struct.field("v")).list.sort()
        case _:
            return pl.col(name)
