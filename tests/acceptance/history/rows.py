"""Rows of all read models as frames of text, and how they differ."""

from collections.abc import Mapping

import polars as pl

from tillroll.store.postgres import PostgresStore
from tillroll.store.reading import views

__all__ = ["Rows", "assert_same_rows", "assert_says", "difference", "rows_of"]

SHOWN = 4
"""Differing rows that a message shows of each side."""

Rows = Mapping[str, pl.DataFrame]
"""Per view its rows in the order of all columns, every value as PostgreSQL writes it; null is null."""


def rows_of(store_address: str) -> Rows:
    """Every row of every view."""
    store = PostgresStore(store_address)
    try:
        return {view: _view(store, view) for view in views(store)}
    finally:
        store.close()


def _view(store: PostgresStore, view: str) -> pl.DataFrame:
    statement = f"copy (select * from {view}) to stdout with (format csv, header, null '\\N', force_quote *)"
    with store.connection() as connection, connection.cursor().copy(statement.encode()) as copied:
        text = b"".join(bytes(part) for part in copied)
    frame = pl.read_csv(text, infer_schema=False, null_values="\\N")
    return frame.sort(frame.columns)


def assert_same_rows(found: Rows, expected: Rows) -> None:
    """Fail with the rows that only one side has, unless both hold the same rows, every one of them as often."""
    assert sorted(found) == sorted(expected)
    told = [difference(view, found[view], expected[view]) for view in sorted(expected)]
    assert not any(told), "\n".join(filter(None, told))


def assert_says(name: str, found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Fail with the differing rows unless both frames hold the same values, of whatever types and in any order."""
    told = difference(name, *(frame.select(pl.all().cast(pl.String)) for frame in (found, expected)))
    assert not told, told


def difference(name: str, found: pl.DataFrame, expected: pl.DataFrame) -> str:
    """How two frames differ as bags of rows, in a few lines; "" when they do not."""
    if found.columns != expected.columns:
        return f"{name}: columns {found.columns} instead of {expected.columns}"
    too_much, missing = _without(found, expected), _without(expected, found)
    if not len(too_much) and not len(missing):
        return ""
    head = f"{name}: {len(missing)} of {len(expected)} rows missing, {len(too_much)} that should not be"
    return "\n".join([head, *_shown("missing", missing), *_shown("not expected", too_much)])


def _without(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Rows of `left` that `right` does not have as often. A row's first copy is number 0, its second 1."""
    names = left.columns
    numbered = [f.with_columns(_copy=pl.int_range(pl.len()).over(names)) for f in (left, right)]
    return numbered[0].join(numbered[1], on=[*names, "_copy"], how="anti", nulls_equal=True).sort(names)


def _shown(what: str, rows: pl.DataFrame) -> list[str]:
    more = [f"  ... {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return [f"  {what}: {row}" for row in rows.head(SHOWN).iter_rows(named=True)] + more
