"""An event that history tells of, whatever else is told about it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from tillroll.log.port import Position

__all__ = ["ORIGIN", "PastEvent", "origin_of"]

ORIGIN = (
    "_occurred_at", "_recorded_at", "_topic", "_partition", "_offset", "_record", "_event_id", "_source", "_weight",
)  # fmt: skip
"""The columns that a row of a handler gets from its event, see `explain.RowParts`."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Where an event stands, when it happened and became known, and what it is. weight: -1 where a void takes it back."""

    position: Position
    recorded_at: datetime
    occurred_at: datetime
    record: str
    event_id: str
    source: str
    weight: int


def origin_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a PastEvent, from the columns ORIGIN."""
    return {
        "position": Position(row["_topic"], row["_partition"], row["_offset"]),
        **{name: row[f"_{name}"] for name in _OTHERS},
    }


_OTHERS = [field.name for field in fields(PastEvent) if field.name != "position"]
