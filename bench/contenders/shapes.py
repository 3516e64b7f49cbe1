"""What every program without tillroll does with an event: the rows it contributes, and the statement that merges one.

The three read models are tables of sums and the time of the last event, by sku and place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro

__all__ = ["SHAPES", "Decoder", "Shape"]

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Shape:
    """The summed columns, and from a record's name and its event to rows (sku, place, sums..., time)."""

    sums: tuple[str, ...]
    rows: Callable[[str, Any], Sequence[Row]]

    @property
    def table(self) -> str:
        """The table, as such programs declare it."""
        columns = ", ".join(f"{name} bigint not null" for name in self.sums)
        return (
            f"create table peer_rows (sku text, location_id text, {columns}, last_moved_at timestamptz not null, "
            "primary key (sku, location_id))"
        )

    @property
    def upsert(self) -> str:
        """One row into the table."""
        values = ", ".join(["%s"] * (len(self.sums) + 3))
        added = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in self.sums)
        return (
            f"insert into peer_rows as t values ({values}) on conflict (sku, location_id) do update "
            f"set {added}, last_moved_at = greatest(t.last_moved_at, excluded.last_moved_at)"
        )


def _stock(record: str, event: Any) -> Sequence[Row]:
    if record != "StockReceived":
        return ()  # a count: this read model knows receipts only
    return ((event["sku"], event["location_id"], event["quantity"], event["occurred_at"]),)


def _orders(record: str, event: Any) -> Sequence[Row]:
    time = event["occurred_at"]
    return [
        (line["sku"], line["location_id"], line["quantity"], line["amount_minor"], time)
        for line in event["lines"]
    ]


def _mixed(record: str, event: Any) -> Sequence[Row]:
    moved = 0
    if record in ("StockReceived", "StockAdjusted"):
        moved = event["quantity"]
    elif record == "TransferShipped":
        moved = -event["quantity"]
    elif record == "TransferReceived":
        moved = event["received"]
    return ((event["sku"], event["location_id"], moved, 1, event["occurred_at"]),)


SHAPES = {
    "stock": Shape(("quantity",), _stock),
    "orders": Shape(("units", "amount_minor"), _orders),
    "mixed": Shape(("moved", "events"), _mixed),
}


class Decoder:
    """Values of the wire format into (record, event), one by one, by fastavro."""

    def __init__(self, schemas: dict[str, Any]):
        self._known = {
            bytes.fromhex(schema["prefix"]): (record, fastavro.parse_schema(schema["avro"]))
            for record, schema in schemas.items()
        }

    def __call__(self, value: bytes) -> tuple[str, Any]:
        """The record's name and the event."""
        record, schema = self._known[value[:5]]
        return record, fastavro.schemaless_reader(BytesIO(value[5:]), schema, None)
