"""Reference data as read models: what places and products are called, and where places are."""

from datetime import datetime

from tillroll.events import LocationDescribed, ProductDescribed
from tillroll.projection import Frame, Key, Latest, Max, Projection, Table, on

__all__ = ["Locations", "Products"]


class Locations(Projection):
    """Places by location_id: name, kind, coordinates (degrees, WGS 84), opening hours, time zone.

    The newest description holds, field by field; what it leaves out stays as it was.
    """

    class Places(Table):
        """One row a place."""

        view = ""
        location_id: Key[str]
        name: Latest[str]
        kind: Latest[str]
        latitude: Latest[float]
        longitude: Latest[float]
        opening: Latest[str]
        time_zone: Latest[str]
        described_at: Max[datetime]

    @on(LocationDescribed)
    def described(self, events: Frame) -> Frame:
        """The newest description, field by field."""
        fields = ("location_id", "name", "kind", "latitude", "longitude", "opening", "time_zone")
        return events.select(*fields, described_at="occurred_at")


class Products(Projection):
    """Products by SKU: name, brand, category, size, colour."""

    class Articles(Table):
        """One row a SKU."""

        view = ""
        sku: Key[str]
        name: Latest[str]
        brand: Latest[str]
        category: Latest[str]
        size: Latest[str]
        colour: Latest[str]
        described_at: Max[datetime]

    @on(ProductDescribed)
    def described(self, events: Frame) -> Frame:
        """The newest description, field by field."""
        fields = ("sku", "name", "brand", "category", "size", "colour")
        return events.select(*fields, described_at="occurred_at")
