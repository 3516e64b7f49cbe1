"""Only key columns that are copied as they are from their events are looked for in the bytes."""

from typing import Any

import polars as pl
import pytest
from tests.unit.history.logs import CONTRACT

from tillroll.events import StockAdjusted, StockReceived
from tillroll.history.pushdown import texts_of, verbatim
from tillroll.projection import Frame, Key, Projection, Sum, on
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
    ("projection", "columns"), [(Copied, {"sku"}), (Sometimes, set()), (Silent, set()), (Failing, set())]
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
