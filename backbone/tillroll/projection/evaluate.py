"""A read model without a database: event frames in, the rows of every view out.

What a store does by SQL is done by Polars here, from the same declaration: derived columns by `pl.sql_expr`,
declared views by Polars' SQL. For tests of projections, and for questions about a slice of history.
"""

from collections.abc import Mapping

import polars as pl

from tillroll.contract.registry import Contract, load_contract
from tillroll.errors import DeclarationError, HandlerFailed
from tillroll.log.decode import PLACE, Decoded
from tillroll.log.port import Batch
from tillroll.projection.declare import Projection
from tillroll.projection.fold import Folder
from tillroll.projection.merge import TableDeltas, finish

__all__ = ["evaluate", "read_views"]

_NOWHERE = Batch("", 0, 0, 0, 0, 0, None, b"")


def evaluate(
    projection: type[Projection], frames: Mapping[str, pl.DataFrame], contract: Contract | None = None
) -> dict[str, pl.DataFrame]:
    """The rows of every view, in no particular order, after the events in `frames`.

    frames: by record name, in the newest version of the record, with or without the columns PLACE. Raises
    HandlerFailed when a handler fails, naming the event.
    """
    placed = {record: _placed(frame) for record, frame in frames.items()}
    folder = Folder(projection(), contract or load_contract())
    folded = folder.fold(Decoded(placed), [_NOWHERE])
    for failure in folded.failures:
        raise HandlerFailed(f"{failure.record} {failure.event_id}: {failure.error}: {failure.message}")
    return read_views(projection, folded.deltas)


def read_views(projection: type[Projection], deltas: Mapping[str, TableDeltas]) -> dict[str, pl.DataFrame]:
    """The rows of every view from reduced contributions by table name; a table without any has no rows.

    Raises DeclarationError on a view that Polars' SQL cannot evaluate.
    """
    views = {
        table.view: finish(table, deltas.get(table.name) or TableDeltas(_no_rows(projection, table.name)))
        for table in projection.tables
    }
    names = {table.name: f'"{table.view}"' for table in projection.tables}
    for view, text in projection.views.items():
        try:
            views[view] = pl.SQLContext(views, eager=True).execute(text.format(**names))
        except pl.exceptions.PolarsError as error:
            raise DeclarationError(
                f"{projection.__name__}: Polars cannot evaluate the view {view}: {error}"
            ) from error
    return views


def _no_rows(projection: type[Projection], name: str) -> pl.DataFrame:
    table = projection.table(name)
    return pl.DataFrame(schema={key: table.column(key).dtype for key in table.key})


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the columns that say where each event stood, whatever they say."""
    absent = {
        "_batch": pl.lit(0, pl.UInt32),
        "_offset": pl.lit(0, pl.Int64),
        "_recorded_at": pl.lit(None, pl.Datetime("us", "UTC")),
    }
    return frame.select(*(absent[c].alias(c) for c in PLACE if c not in frame.columns), pl.all())
