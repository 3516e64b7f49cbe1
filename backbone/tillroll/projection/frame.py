"""The frame that handlers work on: Polars columns that never lose the event they came from."""

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

__all__ = ["Frame"]

ROW, ORDINAL = "_row", "_ordinal"
_ORIGIN = (ROW, ORDINAL)


class Frame:
    """Events of one type, or what a handler made of them: one row per event, or per line of an event.

    Wraps a Polars DataFrame (`polars`); `record` is the event type's name. Every method returns a new Frame and carries two hidden columns
    along: which event a row stems from, and its ordinal in that event. The runtime needs them to know when
    a row happened and which event to blame.
    """

    __slots__ = ("polars", "record")

    def __init__(self, polars: pl.DataFrame, record: str):
        self.polars, self.record = polars, record

    @classmethod
    def of_events(cls, events: pl.DataFrame, record: str) -> "Frame":
        """A frame whose rows are events of the type `record`; `events` has one row per event."""
        rows = range(len(events))
        origin = [
            pl.Series(ROW, rows, pl.UInt32),
            pl.Series(ORDINAL, [0], pl.UInt32).new_from_index(0, len(rows)),
        ]
        return cls(pl.DataFrame([*origin, *events.get_columns()]), record)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, without the hidden ones."""
        return [name for name in self.polars.columns if name not in _ORIGIN]

    def fields(self, column: str) -> list[str]:
        """Names of the fields of the records in the list `column`; none where there is no such column."""
        inner = getattr(self.polars.schema.get(column), "inner", None)
        return [field.name for field in inner.fields] if isinstance(inner, pl.Struct) else []

    def select(self, *columns: str | pl.Expr, **named: str | int | pl.Expr) -> "Frame":
        """These columns only; ``new="old"`` renames, numbers and expressions are taken as they are."""
        return self._of(self.polars.select(*_ORIGIN, *columns, **named))

    def with_columns(self, *columns: pl.Expr, **named: str | int | pl.Expr) -> "Frame":
        """All columns, and these new ones."""
        return self._of(self.polars.with_columns(*columns, **named))

    def filter(self, *conditions: pl.Expr | str, **equals: Any) -> "Frame":
        """Rows for which every condition holds; ``kind="PRODUCT"`` compares a column with a value."""
        return self._of(self.polars.filter(*conditions, **equals))

    def lines(self, column: str = "lines") -> "Frame":
        """One row per entry of the list `column`: its fields become columns beside the event's.

        Events without entries give no row. Raises ValueError when a field has the name of an event column.
        """
        clash = set(self.fields(column)) & set(self.polars.columns)
        if clash:
            raise ValueError(
                f"{column} has fields named like columns of the event: {sorted(clash)}; rename those"
            )
        spread = self.polars.with_columns(
            pl.int_ranges(pl.col(column).list.len(), dtype=pl.UInt32).alias(ORDINAL)
        )
        spread = spread.explode(column, ORDINAL, empty_as_null=False, keep_nulls=False)
        if (self.polars[ORDINAL] > 0).any():  # lists of lists: the inner ones count on
            spread = spread.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).over(ROW).alias(ORDINAL))
        return self._of(spread.unnest(column))

    def map_each(self, function: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> "Frame":
        """Rows that `function` makes of each event, one at a time."""
        rows = []
        for event in self.polars.iter_rows(named=True):
            for ordinal, row in enumerate(function(event)):
                if not isinstance(row, dict):
                    raise TypeError(
                        f"a handler of single events gives rows as dicts, not {type(row).__name__}"
                    )
                rows.append({ROW: event[ROW], ORDINAL: ordinal} | row)
        origin = {name: pl.UInt32() for name in _ORIGIN}
        if not rows:
            return self._of(pl.DataFrame(schema=origin))
        return self._of(pl.DataFrame(rows, schema_overrides=origin, infer_schema_length=None))

    def _of(self, polars: pl.DataFrame) -> "Frame":
        return Frame(polars, self.record)

    def __len__(self) -> int:
        return len(self.polars)

    def __repr__(self) -> str:
        return f"Frame of {len(self)} rows: {', '.join(self.columns)}"
