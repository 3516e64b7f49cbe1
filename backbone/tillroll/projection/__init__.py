"""Projections: declare a read model, write its handlers, and nothing else (docs/add-a-projection.md)."""

from tillroll.projection.declare import (
    Append,
    Deltas,
    Derived,
    First,
    Key,
    Latest,
    Level,
    Max,
    Min,
    Projection,
    Sum,
    Table,
    Union,
    derived,
    on,
    on_each,
)
from tillroll.projection.frame import Frame

__all__ = [
    "Append",
    "Deltas",
    "Derived",
    "First",
    "Frame",
    "Key",
    "Latest",
    "Level",
    "Max",
    "Min",
    "Projection",
    "Sum",
    "Table",
    "Union",
    "derived",
    "on",
    "on_each",
]
