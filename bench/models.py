"""The read models that are measured."""

from datetime import datetime

from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Max, Projection, Sum, on
from tillroll.projections.store_availability import StoreAvailability

__all__ = ["MODELS", "StockLevels"]


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


MODELS = {model.name: model for model in (StockLevels, StoreAvailability)}
