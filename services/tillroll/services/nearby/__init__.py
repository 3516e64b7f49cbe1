"""Who nearby has it: places that can sell a SKU, nearest first."""

from importlib.resources import files
from typing import NamedTuple

from tillroll.store.postgres import PostgresStore

__all__ = ["Nearby", "nearby"]


class Nearby(NamedTuple):
    """A place that can sell it; km as the crow flies, None where a place's coordinates are unknown."""

    location_id: str
    name: str
    km: float | None
    sellable: int


def nearby(store: PostgresStore, sku: str, here: str, limit: int = 5) -> list[Nearby]:
    """Stores other than `here` with `sku` to sell, nearest first, at most `limit`.

    Reads the views store_availability and locations, which have to be projected.
    """
    query = files("tillroll.services.nearby").joinpath("nearby.sql").read_bytes()
    with store.connection() as connection:
        rows = connection.execute(query, {"sku": sku, "here": here, "limit": limit}).fetchall()
    return [Nearby(*row) for row in rows]
