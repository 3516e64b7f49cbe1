"""A handler's answer, checked: frames that stem from the one it was given, with the columns that tables declare."""

from collections.abc import Iterator, Mapping

import polars as pl

from tillroll.errors import HandlerFailed
from tillroll.projection.declare import Column, Deltas, Projection, Rule, TableSpec
from tillroll.projection.frame import ORDINAL, ROW, Frame
from tillroll.projection.merge import AT, ORDER, needs_order, needs_time, order_key

__all__ = ["SUMMABLE", "by_table", "checked", "in_turn"]

# A million events a commit and those of a poll, seven rows each of one key, of this size: what 64 bits hold. Polars' sums wrap
# silently.
SUMMABLE = 10**12
ROWS_AN_EVENT = 1_000_000


def by_table(projection: Projection, deltas: Deltas) -> Iterator[tuple[TableSpec, Frame]]:
    """The frames of a handler's answer, each with its table. Raises HandlerFailed where they are none of ours."""
    tables = projection.tables
    if not isinstance(deltas, Mapping):
        if len(tables) > 1:
            names = ", ".join(table.name for table in tables)
            raise HandlerFailed(
                f"a handler of several tables ({names}) returns frames by table: {{table: frame}}"
            )
        yield from ((tables[0], frame) for frame in _frames(deltas))
        return
    for kind, given in deltas.items():
        spec = projection.tables_by_class.get(kind)
        if spec is None:
            raise HandlerFailed(
                f"{kind!r} is no table of {projection.name}; give {type(projection).__name__}.<Table>"
            )
        yield from ((spec, frame) for frame in _frames(given))


def _frames(given: object) -> Iterator[Frame]:
    for frame in given if isinstance(given, list | tuple) else [given]:
        if not isinstance(frame, Frame) or not {ROW, ORDINAL} <= set(frame.polars.columns):
            raise HandlerFailed(
                f"a handler returns Frames made from the one it is given, not {type(frame).__name__}"
            )
        yield frame


def in_turn(frame: Frame, turn: int) -> pl.DataFrame:
    """The rows, with ordinals behind those of the frames before: no two rows of an event share a place in time."""
    if not turn:
        return frame.polars
    return frame.polars.with_columns(pl.col(ORDINAL).cast(pl.Int64) + turn * ROWS_AN_EVENT)


def checked(table: TableSpec, rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The rows with ORDER and AT, once key and columns are what the table declares."""
    declared = {column.name: column for column in table.columns}
    declared |= {f"{column.name}_count": column for column in table.ruled(Rule.LEVEL)}
    if unknown := set(rows.columns) - declared.keys() - {ROW, ORDINAL}:
        raise HandlerFailed(f"table {table.name} has no column {', '.join(sorted(unknown))}")
    if missing := set(table.key) - set(rows.columns):
        raise HandlerFailed(f"table {table.name} needs its key; {', '.join(sorted(missing))} is missing")
    typed = [
        _fitting(table, column.name, declared[column.name], column) if column.name in declared else column
        for column in rows.get_columns()
    ]
    return _with_time(table, pl.DataFrame(typed), events)


def _fitting(table: TableSpec, name: str, column: Column, values: pl.Series) -> pl.Series:
    """`values` in the type that `column` declares. Raises HandlerFailed where that would change what they say."""
    where = f"column {name} of table {table.name}"
    if not _may_become(values.dtype, column.dtype):
        raise HandlerFailed(f"{where} is {column.type.__name__}, and the handler gives {values.dtype}")
    try:
        values = values if values.dtype == column.dtype else values.cast(column.dtype)
    except pl.exceptions.PolarsError as error:
        raise HandlerFailed(f"{where} is {column.type.__name__}: {error}") from None
    if column.rule is Rule.KEY and values.null_count():
        raise HandlerFailed(f"null in key {where}; '' names nothing")
    if column.rule in (Rule.SUM, Rule.LEVEL) and not _is_summable(values):
        raise HandlerFailed(f"{where}: a contribution beyond {SUMMABLE} cannot be summed safely")
    if column.type is float and not values.is_finite().all():
        raise HandlerFailed(f"{where}: NaN and infinity are no values")
    return values


def _is_summable(values: pl.Series) -> bool:
    return all(extreme is None or abs(extreme) <= SUMMABLE for extreme in (values.min(), values.max()))  # type: ignore[arg-type]


def _may_become(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a cast keeps the meaning: no text from numbers, no whole number from a fraction, no zone guessed."""
    if given == wanted or given == pl.Null:
        return True
    if wanted == pl.Int64:
        return given.is_integer() or given == pl.Boolean
    if wanted == pl.Float64:
        return given.is_numeric()
    if wanted == pl.String:
        return isinstance(given, pl.Categorical | pl.Enum)
    return isinstance(given, pl.Datetime) and isinstance(wanted, pl.Datetime) and given.time_zone is not None


def _with_time(table: TableSpec, rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """ORDER and AT, as far as the given columns need them, from the events that the rows stem from (ROW)."""
    ordered = needs_order(table, rows.columns)
    if ordered or needs_time(table, rows.columns):
        rows = rows.with_columns(events["occurred_at"].gather(rows[ROW]).alias(AT))
    if ordered:
        origin = events.select("source_seq", "event_id")[rows[ROW]].with_columns(rows[AT], rows[ORDINAL])
        key = order_key(pl.col(AT), pl.col("source_seq"), pl.col("event_id"), pl.col(ORDINAL))
        rows = rows.with_columns(origin.select(key.alias(ORDER)))
    return rows
