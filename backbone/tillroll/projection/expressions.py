"""Derived columns: what is wrong with an expression is said where it is declared, not where rows are read.

Polars and PostgreSQL both evaluate the same text. Polars can be asked without a database, so it is asked first;
what only PostgreSQL knows (types, its own functions) is found when the tables are made (store/versions.py).
"""

from collections.abc import Iterable

import polars as pl

from tillroll.errors import DeclarationError
from tillroll.projection.rules import Expression, TableSpec

__all__ = ["check_expressions", "wrong"]


def check_expressions(projection: str, table: TableSpec) -> None:
    """Raises DeclarationError on an expression that is no SQL, or that names what is no column of the table."""
    known = [column.name for column in table.columns]
    for expression in table.derived:
        reason = _unreadable(expression, known)
        if reason:
            raise wrong(projection, table.name, expression, reason)


def wrong(projection: str, table: str, expression: Expression, reason: str) -> DeclarationError:
    """The error that names projection, table, column and text of a derived column."""
    return DeclarationError(
        f"projection {projection}, table {table}: the derived column {expression.name} = {expression.sql!r} cannot be "
        f"evaluated: {' '.join(reason.split())}"
    )


def _unreadable(expression: Expression, known: Iterable[str]) -> str:
    """What is wrong with the expression; '' = nothing."""
    try:
        names = pl.sql_expr(expression.sql).meta.root_names()
    except pl.exceptions.PolarsError as error:
        return str(error)
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if not unknown:
        return ""
    what = "there is no column" if len(unknown) == 1 else "there are no columns"
    return f"{what} {', '.join(unknown)}; it may use {', '.join(known)}"
