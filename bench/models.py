"""The read models that are measured."""

import inspect
import tempfile
from datetime import datetime
from pathlib import Path

import polars as pl

from bench.histories.mixed import MOVED
from tillroll.events import (
    OrderPlaced,
    ReservationMade,
    ReservationReleased,
    SafetyStockSet,
    StockAdjusted,
    StockCounted,
    StockReceived,
    TransferReceived,
    TransferShipped,
)
from tillroll.projection import Frame, Key, Max, Projection, Sum, on
from tillroll.projection.registry import load_projections
from tillroll.projections.channel_sales import ChannelSales
from tillroll.projections.customer_history import CustomerHistory
from tillroll.projections.order_status import OrderStatus
from tillroll.projections.store_availability import StoreAvailability

__all__ = ["MODELS", "SHIPPED", "OrderUnits", "StockLevels", "StockMovements", "copies"]


class StockLevels(Projection):
    """Units received and the time of the last receipt, per SKU and location: a sum and a maximum."""

    sku: Key[str]
    location_id: Key[str]
    quantity: Sum[int]
    last_moved_at: Max[datetime]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All there is to it."""
        return events.select("sku", "location_id", "quantity", last_moved_at="occurred_at")


class OrderUnits(Projection):
    """Units and money of order lines per SKU and location."""

    sku: Key[str]
    location_id: Key[str]
    units: Sum[int]
    amount_minor: Sum[int]
    last_moved_at: Max[datetime]

    @on(OrderPlaced)
    def placed(self, events: Frame) -> Frame:
        """A row per line."""
        columns = ("sku", "location_id", "amount_minor")
        return events.lines().select(*columns, units="quantity", last_moved_at="occurred_at")


class StockMovements(Projection):
    """Units moved, events and the time of the last one per SKU and location, over eight event types."""

    sku: Key[str]
    location_id: Key[str]
    moved: Sum[int]
    events: Sum[int]
    last_moved_at: Max[datetime]

    @on(StockReceived, StockAdjusted)
    def came(self, events: Frame) -> Frame:
        """In, or either way."""
        return _moved(events, "StockReceived")

    @on(TransferShipped)
    def left(self, events: Frame) -> Frame:
        """Out."""
        return _moved(events, "TransferShipped")

    @on(TransferReceived)
    def arrived(self, events: Frame) -> Frame:
        """In from elsewhere."""
        return _moved(events, "TransferReceived")

    @on(StockCounted, ReservationMade, ReservationReleased, SafetyStockSet)
    def noted(self, events: Frame) -> Frame:
        """Nothing moved."""
        return _moved(events, "StockCounted")


def _moved(events: Frame, record: str) -> Frame:
    moved = pl.sql_expr(MOVED[record]).cast(pl.Int64)
    return events.select(
        "sku", "location_id", moved=moved, events=pl.lit(1, pl.Int64), last_moved_at="occurred_at"
    )


MODELS: dict[str, type[Projection]] = {
    model.name: model for model in (StockLevels, OrderUnits, StockMovements, StoreAvailability)
}

SHIPPED: dict[str, type[Projection]] = {
    model.name: model for model in (ChannelSales, StoreAvailability, OrderStatus, CustomerHistory)
}
"""What comes with tillroll and reads what TPC-DS holds."""


def copies(count: int) -> list[type[Projection]]:
    """`count` projections that do what StockLevels does, each under a name of its own.

    Declared in a file of their own, since a version records its code: by its class in its module's source.
    """
    source = inspect.getsource(StockLevels)
    classes = [source.replace("class StockLevels(", f"class StockLevels{n}(") for n in range(count)]
    folder = tempfile.TemporaryDirectory(prefix="tillroll-bench-")
    _kept.append(folder)
    Path(folder.name, "copies.py").write_text("\n\n".join([_IMPORTS, *classes]), encoding="utf-8")
    found = load_projections([Path(folder.name)])
    return [found[f"stock_levels{n}"] for n in range(count)]


_kept: list[tempfile.TemporaryDirectory[str]] = []  # the source is read as long as the process runs
_IMPORTS = """
from datetime import datetime
from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Max, Projection, Sum, on
"""
