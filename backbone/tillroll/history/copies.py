"""Which columns of a handler's answer are copies of what its events hold, whatever that is.

A handler is run on a frame that remembers which of its columns were copied. What it computes is no copy, even if
the values at hand come out of it as they went in: others might not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from tillroll.projection.answer import by_table
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.frame import Frame

__all__ = ["copied"]


def copied(
    projection: Projection, record: str, events: pl.DataFrame
) -> Iterator[tuple[TableSpec, frozenset[str]]]:
    """Of every frame that the handlers of `record` answer its table and those of its columns that are copies, or ''.

    None of them where a handler takes values, or how many rows there are, into its own hands (`polars`, `map_each`,
    `len`), since they may decide what it answers. Raises what a handler raises.
    """
    for name in projection.handlers.get(record, ()):
        given = _Copies.of_events(events, record)
        answer = getattr(projection, name)(given)
        looked_at = bool(given.looked_at)
        for table, frame in by_table(projection, answer):
            told = frame.copies if isinstance(frame, _Copies) and not looked_at else frozenset[str]()
            yield table, told


class _Copies(Frame):
    """A Frame that knows its copies. looked_at: filled when values are taken out of it, or of one made from it."""

    __slots__ = ("_held", "copies", "looked_at")

    def __init__(self, held: pl.DataFrame, record: str, copies: Iterable[str], looked_at: list[bool]):
        self._held, self.record, self.looked_at = held, record, looked_at
        self.copies = frozenset(copies) & frozenset(held.columns)

    @classmethod
    def of_events(cls, events: pl.DataFrame, record: str) -> "_Copies":
        """All columns are copies."""
        held = Frame.of_events(events, record).polars
        return cls(held, record, held.columns, [])

    @property
    def polars(self) -> pl.DataFrame:  # type: ignore[override]
        """The values, for whoever asks."""
        self.looked_at.append(True)
        return self._held

    @property
    def columns(self) -> list[str]:
        """See Frame."""
        return self._plain().columns

    def fields(self, column: str) -> list[str]:
        """See Frame."""
        return self._plain().fields(column)

    def select(self, *columns: str | pl.Expr, **named: str | int | pl.Expr) -> Frame:
        """See Frame."""
        return self._made(self._plain().select(*columns, **named), self._told(columns, named) or {})

    def with_columns(self, *columns: pl.Expr, **named: str | int | pl.Expr) -> Frame:
        """See Frame. An expression that gives several columns may have replaced any of the others."""
        told = self._told(columns, named)
        kept = dict.fromkeys(self.copies, True) | told if told is not None else {}
        return self._made(self._plain().with_columns(*columns, **named), kept)

    def filter(self, *conditions: pl.Expr | str, **equals: Any) -> Frame:
        """See Frame."""
        return self._made(self._plain().filter(*conditions, **equals), dict.fromkeys(self.copies, True))

    def lines(self, column: str = "lines") -> Frame:
        """See Frame. What stands in a copied list are copies, too."""
        told = [*self.copies, *(self.fields(column) if column in self.copies else ())]
        return self._made(self._plain().lines(column), dict.fromkeys(told, True))

    def map_each(self, function: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> Frame:
        """See Frame. What the function makes of the values, nobody knows."""
        self.looked_at.append(True)
        return self._plain().map_each(function)

    def __len__(self) -> int:
        self.looked_at.append(True)
        return len(self._held)

    def _plain(self) -> Frame:
        return Frame(self._held, self.record)

    def _made(self, frame: Frame, told: dict[str, bool]) -> "_Copies":
        copies = [name for name, is_copy in told.items() if is_copy]
        return _Copies(frame.polars, self.record, copies, self.looked_at)

    def _told(self, columns: Sequence[Any], named: dict[str, Any]) -> dict[str, bool] | None:
        """By the name of each new column whether it is a copy; None where not all names are known."""
        given = [pl.col(column) if isinstance(column, str) else column for column in columns]
        if not all(isinstance(each, pl.Expr) and not each.meta.has_multiple_outputs() for each in given):
            return None
        told = {each.meta.output_name(): self._is_copy(each) for each in given}
        for name, column in named.items():
            each = pl.col(column) if isinstance(column, str) else column
            told[name] = isinstance(each, pl.Expr) and self._is_copy(each)
        return told

    def _is_copy(self, given: pl.Expr) -> bool:
        """Whether it is a copied column, the first of several that is there, or either of them or '' if none is."""
        roots = given.meta.root_names()
        if not roots or not self.copies.issuperset(roots):
            return False
        first = pl.coalesce(roots)
        same = (
            pl.col(roots[0]),
            pl.col(roots[0]).fill_null(""),
            first,
            first.fill_null(""),
            pl.coalesce(*roots, pl.lit("")),
        )
        bare = given.meta.undo_aliases()
        return any(bare.meta.eq(each) for each in same)
