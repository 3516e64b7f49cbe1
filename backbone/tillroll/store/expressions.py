"""Derived columns as PostgreSQL sees them: what Polars cannot know is said when a version is made."""

import psycopg

from tillroll.database import Connection
from tillroll.projection.declare import Projection
from tillroll.projection.expressions import wrong
from tillroll.store import sql

__all__ = ["check_derived"]


def check_derived(connection: Connection, projection: type[Projection]) -> None:
    """Raises DeclarationError on a derived column that PostgreSQL cannot evaluate; the version's tables are there.

    Columns are tried one by one: the error of a whole view does not say which of them it is.
    """
    for table in projection.tables:
        for expression in table.derived:
            try:
                connection.execute(sql.derived_query(projection, table, expression).encode())
            except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
                reason = error.diag.message_primary or str(error)
                raise wrong(projection.name, table.name, expression, reason) from error
