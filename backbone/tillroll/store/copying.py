"""Frames into tables by COPY; and rows whose keys a table has never seen, at half the work of merging them."""

from collections import Counter
from collections.abc import Sequence
from io import BytesIO

import polars as pl
import psycopg

from tillroll.database import Connection
from tillroll.store.sql import quoted

__all__ = ["Newcomers", "copy_frame"]

ROWS_A_COPY = 20_000  # as CSV at a time: all of a commit would be as much memory again
SAMPLE = 100  # keys that are looked up before rows are taken for new
MOST_PASSES = 64


def copy_frame(connection: Connection, table: str, rows: pl.DataFrame) -> None:
    """COPY `rows` into the columns of `table` of the same names, as CSV that Polars writes bit by bit: strings quoted, null bare."""
    columns = ", ".join(map(quoted, rows.columns))
    with connection.cursor().copy(f"copy {table} ({columns}) from stdin (format csv)".encode()) as copy:
        for part in rows.iter_slices(ROWS_A_COPY):
            buffer = BytesIO()
            part.write_csv(buffer, include_header=False, quote_style="non_numeric", null_value="")
            copy.write(buffer.getbuffer())


class Newcomers:
    """Brings rows into tables that know none of their keys.

    Merging writes every row twice, into a staging table and from there; COPY straight into the table writes it once, but
    knows no conflict. A history mostly brings new keys (`customer_history`, ids of events) or mostly known ones (stock), which a sample
    tells. Where it is mistaken, the next rows of that table are merged without a try: of one time, then two, four, up to 64.
    """

    def __init__(self) -> None:
        self._passes: dict[str, int] = {}  # times that a table is not to be tried yet
        self._mistakes: Counter[str] = Counter()  # since it last went well

    def take(self, connection: Connection, table: str, rows: pl.DataFrame, key: Sequence[str]) -> bool:
        """Whether `rows` are in `table` now; if not, it is as it was. To be called in a transaction.

        rows: sorted by `key`, so that two processes never wait for each other in a circle.
        """
        if self._passes.get(table):
            self._passes[table] -= 1
            return False
        if _knows(connection, table, rows, key):
            return False
        try:
            with connection.transaction():
                copy_frame(connection, table, rows)
        except psycopg.errors.UniqueViolation:
            self._passes[table] = min(MOST_PASSES, 2 ** self._mistakes[table])
            self._mistakes[table] += 1
            return False
        self._mistakes[table] = 0
        return True


def _knows(connection: Connection, table: str, rows: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether `table` has any of some keys of `rows`. Planned anew each time: the table grows."""
    sample = rows[list(key)].gather_every(max(1, len(rows) // SAMPLE)).cast(pl.String())
    names = ", ".join(map(quoted, key))
    found = connection.execute(
        f"select 1 from {table} join json_populate_recordset(null::{table}, %s) as given using ({names}) limit 1".encode(),
        [sample.write_json()],
        prepare=False,
    )
    return found.fetchone() is not None
