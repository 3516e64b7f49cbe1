"""What a story is made of, so that whoever tells it decides how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tillroll.store.postgres import PostgresStore

__all__ = ["Said", "Shown", "table_of"]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the story; `heading` marks a new chapter."""

    text: str
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A table of the story."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def table_of(store: PostgresStore, title: str, query: str) -> Shown:
    """What `query` finds in `store`."""
    with store.connection() as connection:
        cursor = connection.execute(query.encode())
        columns = [column.name for column in cursor.description or ()]
        return Shown(title, columns, cursor.fetchall())
