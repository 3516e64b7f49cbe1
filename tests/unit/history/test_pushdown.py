"""Only key columns that are copied as they are from their events are looked for in the bytes."""

from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from tests.unit.history.logs import CONTRACT

from tillroll.events import StockAdjusted, StockReceived
from tillroll.history.pushdown import texts_of, verbatim
from tillroll.projection import Frame, Key, Projection, Sum, on, on_each
from tillroll.projection.registry import load_projections
from tillroll.projections.store_availability import StoreAvailability


class Copied(Projection):
    """One key column as it is, one made up of others, one no text."""

    sku: Key[str]
    place: Key[str]
    tens: Key[int]
    units: Sum[int]

    @on(StockReceived, StockAdjusted)
    def received(self, events: Frame) -> Frame:
        """Moves."""
        place = pl.col("channel").str.to_uppercase()
        return events.select("sku", place=place, tens=pl.col("quantity") // 10, units="quantity")


class Sometimes(Projection):
    """A key column that is another text in some events of one type only."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is."""
        return events.select("sku", units="quantity")

    @on(StockAdjusted)
    def adjusted(self, events: Frame) -> Frame:
        """Without what stands before a hyphen."""
        return events.select(sku=pl.col("sku").str.strip_prefix("Tö-"), units="quantity").select(
            pl.when(pl.col("units") == 7).then(pl.col("sku") + "!").otherwise("sku").alias("sku"),
            units="units",
        )


class Renamed(Projection):
    """A key that is another text for one value alone, which nobody generates."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is, but for one."""
        return events.select(sku=pl.col("sku").replace({"shoe-old": "shoe-new"}), units="quantity")


class Padded(Projection):
    """A key that is another text where it is short."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Thirteen digits."""
        return events.with_columns(sku=pl.col("sku").str.zfill(13)).select("sku", units="quantity")


class Hidden(Projection):
    """Several frames, of which the generated events never fill the one that changes the key."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> list[Frame]:
        """As it is, and what nobody generates."""
        rare = events.filter(reference="by no chance").select(sku=pl.lit("rare"), units="quantity")
        return [events.select("sku", units="quantity"), rare]


class Looking(Projection):
    """Decides by a value that it looks at itself."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is, unless."""
        if (events.filter(kind="x").polars["quantity"] == 77).any():
            return events.select(sku=pl.lit("77"), units="quantity")
        return events.select("sku", units="quantity")


class Counting(Projection):
    """Decides by how many there are."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is, unless."""
        if len(events.filter(quantity=77)):
            return events.select(sku=pl.lit("77"), units="quantity")
        return events.select("sku", units="quantity")


class Each(Projection):
    """Event by event."""

    sku: Key[str]
    units: Sum[int]

    @on_each(StockReceived)
    def received(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """As it is, as far as anybody can see."""
        return [{"sku": event["sku"], "units": event["quantity"]}]


class Wide(Projection):
    """Takes several columns at once, of which one may be the key."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """In small letters."""
        lower = events.with_columns(cs.string().exclude("channel").str.to_lowercase())
        return lower.select("sku", units="quantity")


class Filled(Projection):
    """Nothing where the event says nothing; and by names that several expressions may have."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is."""
        known = events.with_columns(other=pl.col("source_epoch").fill_null(""))
        return known.filter(pl.col("quantity").is_not_null()).select(
            pl.coalesce("sku", pl.lit("")).alias("sku"), units="quantity"
        )


class Silent(Projection):
    """Gives no row for one of its types: nothing is known about that."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As it is."""
        return events.select("sku", units="quantity")

    @on(StockAdjusted)
    def adjusted(self, events: Frame) -> Frame:
        """Only what is never generated."""
        return events.filter(sku="by no chance").select("sku", units="quantity")


class Failing(Projection):
    """Fails."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Raises."""
        raise ValueError("no")


@pytest.mark.parametrize(
    ("projection", "columns"),
    [
        (Copied, {"sku"}),
        (Filled, {"sku"}),
        *(
            (each, set())
            for each in (Sometimes, Renamed, Padded, Hidden, Looking, Counting, Each, Wide, Silent, Failing)
        ),
    ],
)
def test_what_is_not_copied_as_it_is_is_not_looked_for(
    projection: type[Projection], columns: set[str]
) -> None:
    assert verbatim(projection, CONTRACT) == {projection.name: columns}


def test_the_read_models_copy_their_text_keys() -> None:
    for projection in load_projections().values():
        texts = {t.name: {c for c in t.key if t.column(c).dtype == pl.String()} for t in projection.tables}
        assert verbatim(projection, CONTRACT) == texts


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ({"sku": "shöe", "location_id": "s"}, ["shöe".encode(), b"s"]),
        ({"sku": "hat", "location_id": ""}, [b"hat"]),
    ],
)
def test_an_empty_text_is_not_looked_for(key: dict[str, Any], texts: list[bytes]) -> None:
    assert texts_of(StoreAvailability, CONTRACT, StoreAvailability.table("stock"), key) == texts
