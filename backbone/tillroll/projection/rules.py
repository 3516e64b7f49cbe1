"""Columns: each has a merge rule, by which contributions become one value, and a type."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from typing import Generic, TypeVar

import polars as pl

__all__ = [
    "Append",
    "Column",
    "Derived",
    "Expression",
    "First",
    "Key",
    "Latest",
    "Level",
    "Max",
    "Min",
    "Rule",
    "Sum",
    "TableSpec",
    "Union",
]

T = TypeVar("T")


class Key(Generic[T]):
    """Part of the key; never null ('' where there is nothing to name)."""


class Sum(Generic[T]):
    """The sum of all contributions; null adds nothing."""


class Min(Generic[T]):
    """The smallest value."""


class Max(Generic[T]):
    """The largest value."""


class First(Generic[T]):
    """The value of the earliest event (occurred_at, then source_seq, event_id, ordinal); null is no value."""


class Latest(Generic[T]):
    """The value of the latest event, in the same order as First; null is no value."""


class Append(Generic[T]):
    """Every value, in the order of their events. Grows without bound: for few values a key."""


class Union(Generic[T]):
    """Every distinct value, sorted."""


class Level(Generic[T]):
    """A stock that is moved and counted: the newest count plus the moves dated strictly after it.

    A handler gives moves in the column itself and counts in ``<column>_count``; their time is the event's
    occurred_at (domain.md 2).
    """


class Derived(Generic[T]):
    """A SQL expression over the other columns, evaluated when the row is read."""


class Rule(Enum):
    """How a column's contributions become one value."""

    KEY = Key
    SUM = Sum
    MIN = Min
    MAX = Max
    FIRST = First
    LATEST = Latest
    APPEND = Append
    UNION = Union
    LEVEL = Level

    @property
    def ordered(self) -> bool:
        """Whether the event's place in time decides."""
        return self in (Rule.FIRST, Rule.LATEST, Rule.APPEND, Rule.LEVEL)


_DTYPES: dict[type, pl.DataType] = {
    int: pl.Int64(),
    float: pl.Float64(),
    str: pl.String(),
    bool: pl.Boolean(),
    date: pl.Date(),
    datetime: pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column: its merge rule and the type of its values."""

    name: str
    rule: Rule
    type: type

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type of one value."""
        return _DTYPES[self.type]


@dataclass(frozen=True, slots=True)
class Expression:
    """A derived column."""

    name: str
    sql: str


@dataclass(frozen=True)
class TableSpec:
    """One table of a projection, as its declaration says."""

    name: str
    view: str
    columns: tuple[Column, ...]
    derived: tuple[Expression, ...]

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in declared order."""
        return tuple(column.name for column in self.columns if column.rule is Rule.KEY)

    @cached_property
    def values(self) -> tuple[Column, ...]:
        """The columns that are not key."""
        return tuple(column for column in self.columns if column.rule is not Rule.KEY)

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)

    def ruled(self, *rules: Rule) -> tuple[Column, ...]:
        """The columns of these rules."""
        return tuple(column for column in self.columns if column.rule in rules)
