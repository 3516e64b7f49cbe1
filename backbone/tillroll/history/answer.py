"""A question about a view of the past: the same answer as from the store (store.reading), out of frames."""

import re
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from tillroll.errors import UsageError
from tillroll.history.scan import Slice
from tillroll.history.view import History, Past
from tillroll.projection.declare import Projection
from tillroll.projection.registry import view_names
from tillroll.store.reading import Answer, Question, ViewColumn, tie_breakers, typed

__all__ = ["answer", "ask", "column_type", "key_columns", "owner"]


def ask(
    history: History, projections: Iterable[type[Projection]], question: Question, slice_: Slice
) -> tuple[Answer, Past]:
    """Ask `question` of the slice of history; the answer, and the past that it is taken from.

    Raises UsageError for a view, column or value that cannot be meant, naming what there is: before the log is
    read, where nobody has such a view.
    """
    projection = owner(question.view, projections)
    empty = history.nothing(projection)
    _chosen(empty.views[question.view], question, _columns(projection, question.view, empty))
    past = history.past(projection, slice_)
    return answer(projection, question, past), past


def answer(projection: type[Projection], question: Question, past: Past) -> Answer:
    """The answer to `question` about one of the views of `past`; raises UsageError as `ask`."""
    columns = _columns(projection, question.view, past)
    return Answer(columns, _chosen(past.views[question.view], question, columns).iter_rows())


def owner(view: str, projections: Iterable[type[Projection]]) -> type[Projection]:
    """The projection that has the view. Raises UsageError naming all views where none has it."""
    owners = {name: projection for projection in projections for name in view_names(projection)}
    if view not in owners:
        raise UsageError(f"there is no read model {view!r}; there are {', '.join(sorted(owners))}")
    return owners[view]


def _columns(projection: type[Projection], view: str, past: Past) -> list[ViewColumn]:
    keys = key_columns(projection, view)
    return [
        ViewColumn(name, column_type(dtype), name in keys) for name, dtype in past.views[view].schema.items()
    ]


def key_columns(projection: type[Projection], view: str) -> set[str]:
    """The key columns of the table, or of the tables that a further view is made of."""
    text = projection.views.get(view)
    names = None if text is None else set(re.findall(r"\{(\w+)\}", text))
    tables = [t for t in projection.tables if (t.view == view if names is None else t.name in names)]
    return {name for table in tables for name in table.key}


_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp with time zone",
    pl.Float64: "double precision",
    pl.Float32: "double precision",
    pl.Decimal: "numeric",
    pl.Int128: "numeric",
    pl.List: "jsonb",
}


def column_type(dtype: pl.DataType) -> str:
    """The type as PostgreSQL would write it; lists are kept as JSON there."""
    return _TYPES.get(type(dtype), "bigint")


# --- rows ----------------------------------------------------------------------------------------------


def _chosen(rows: pl.DataFrame, question: Question, columns: list[ViewColumn]) -> pl.DataFrame:
    known = {column.name: column for column in columns}
    for condition in _conditions(question, known):
        rows = rows.filter(condition)
    orders = list(_orders(question, known)) or [(columns[0].name, False)]
    if rows.select({name for name, _ in orders}).is_duplicated().any():
        orders += [(name, False) for name in tie_breakers(columns)]
    rows = rows.sort([name for name, _ in orders], descending=[down for _, down in orders], nulls_last=True)
    rows = rows if question.limit is None else rows.head(question.limit)
    return rows.with_columns(_as_kept(name, dtype) for name, dtype in rows.schema.items())


def _as_kept(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column; times and dates in lists as the text that stands in PostgreSQL's JSON."""
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    if inner == pl.Date:
        return pl.col(name).list.eval(pl.element().dt.strftime("%Y-%m-%d"))
    if isinstance(inner, pl.Datetime):
        text = (
            pl.element()
            .dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
            .str.strip_chars_end("0")
            .str.strip_chars_end(".")
        )
        return pl.col(name).list.eval(text + "+00:00")
    return pl.col(name)


def _conditions(question: Question, known: Mapping[str, ViewColumn]) -> Iterator[pl.Expr]:
    """Any of the values of a column; an empty one means empty or unknown."""
    wanted: dict[str, list[str]] = {}
    for name, text in question.where:
        wanted.setdefault(_known(name, known, question.view).name, []).append(text)
    for name, texts in wanted.items():
        column, values = pl.col(name), [typed(known[name], text) for text in texts if text]
        fits = pl.any_horizontal(pl.lit(False), *(column == value for value in values))
        if not all(texts):
            fits |= column.is_null()
            fits |= column == "" if known[name].type == "text" else pl.lit(False)
        yield fits


def _orders(question: Question, known: Mapping[str, ViewColumn]) -> Iterator[tuple[str, bool]]:
    for wish in question.order_by:
        yield _known(wish.removeprefix("-"), known, question.view).name, wish.startswith("-")
    yield from ((column.name, False) for column in known.values() if column.key)


def _known(name: str, known: Mapping[str, ViewColumn], view: str) -> ViewColumn:
    if name not in known:
        raise UsageError(f"{view} has no column {name!r}; it has {', '.join(known)}")
    return known[name]
