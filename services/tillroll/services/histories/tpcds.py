"""TPC-DS as events: three channels that sell and take back, a warehouse that counts (domain.md 6).

The queries are in ``sql/``, one file per record, named after it; docs/histories.md tells the mapping.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import polars as pl

from tillroll.events import EVENT_NAMESPACE
from tillroll.services.histories.frames import conform
from tillroll.services.histories.history import CHUNK, EventFrame, History
from tillroll.services.histories.ids import event_ids, uuids
from tillroll.services.histories.rejects import Rejects
from tillroll.services.histories.tables import Tables, generated

__all__ = ["CHANNELS", "demo_stores", "history", "history_of"]

CHANNELS = ("store", "catalog", "web")

ORDER_RECORDS = (
    "OrderPlaced",
    "LineSourced",
    "ParcelShipped",
    "ReturnReceived",
    "ReturnDispositioned",
    "RefundIssued",
)

WITH_LINES = {"OrderPlaced", "LineSourced", "ParcelShipped"}
"""Records whose lines come from a query of their own, ``<record>_lines.sql``."""

ORDERS_PER_RANGE = 20_000
"""Orders read at a time: some 250,000 lines, two of DuckDB's row groups, so that both cores have work."""


@contextmanager
def history(scale: float = 0.01, *, chunk: int = CHUNK, rejects: Rejects | None = None) -> Iterator[History]:
    """TPC-DS at `scale`, generated anew; frames of at most `chunk` events.

    Raises UsageError, ConfigurationError (extra missing), DiskFull.
    """
    with generated(scale) as tables:
        yield history_of(tables, f"TPC-DS at scale {scale}", chunk=chunk, rejects=rejects)


def history_of(
    tables: Tables, name: str = "TPC-DS", *, chunk: int = CHUNK, rejects: Rejects | None = None
) -> History:
    """The history that `tables` hold."""
    tables.set("event_namespace", EVENT_NAMESPACE.bytes)
    tables.run("macros")
    total = tables.number("source_rows")
    return History(name, total, rejects or Rejects(), lambda opened: _produce(tables, opened, chunk))


def _produce(tables: Tables, opened: History, chunk: int) -> Iterator[EventFrame]:
    for record in ("LocationDescribed", "ProductDescribed", "StockCounted"):
        for frame in tables.batches(record, chunk):
            opened.done += len(frame)
            yield from _parts(record, frame, chunk)
    for rejected in tables.batches("rejected_counts", chunk):
        opened.done += len(rejected)
        opened.rejects.add(rejected)
    for channel in CHANNELS:
        yield from _channel(tables, opened, channel, chunk)


def _channel(tables: Tables, opened: History, channel: str, chunk: int) -> Iterator[EventFrame]:
    tables.set("channel", channel)
    tables.run(channel)
    lowest, highest = tables.rows("order_numbers").row(0)
    for low in range(lowest, highest + 1, ORDERS_PER_RANGE):
        tables.run("order_range", low=low, high=low + ORDERS_PER_RANGE - 1)
        for record in ORDER_RECORDS:
            yield from _parts(record, _events(tables, record), chunk)
        opened.rejects.add(tables.rows("rejected_orders"))
        opened.done += tables.number("range_rows")


def _events(tables: Tables, record: str) -> pl.DataFrame:
    """Events with their lines: nesting in Polars takes a seventh of what DuckDB's ordered lists take."""
    events = tables.rows(record)
    if record not in WITH_LINES:
        return events
    lines = tables.rows(f"{record}_lines").group_by("event", maintain_order=True)
    nested = lines.agg(pl.struct(pl.exclude("event")).alias("lines"))
    return events.join(nested, on="event", how="left", maintain_order="left")


def _parts(record: str, frame: pl.DataFrame, chunk: int) -> Iterator[EventFrame]:
    for part in frame.iter_slices(chunk):
        yield record, conform(record, part.with_columns(uuids("digest")))


# Midway, where TPC-DS at small scales has its one store and warehouse, is in Williamson County, Tennessee;
# these are towns of that part of the country, so that "nearby" means something.
_DEMO_STORES = (
    ("store-franklin", "Franklin", 35.9251, -86.8689),
    ("store-brentwood", "Brentwood", 36.0331, -86.7828),
    ("store-nashville", "Nashville", 36.1627, -86.7816),
    ("store-murfreesboro", "Murfreesboro", 35.8456, -86.3903),
)


def demo_stores() -> Iterator[EventFrame]:
    """Four stores with coordinates (WGS 84, degrees), which TPC-DS lacks; one frame of LocationDescribed."""
    frame = pl.DataFrame(
        _DEMO_STORES, schema=["location_id", "name", "latitude", "longitude"], orient="row"
    ).with_columns(
        event_id=event_ids("demo", "LocationDescribed", [row[0] for row in _DEMO_STORES]),
        source=pl.lit("demo"),
        channel=pl.lit("reference"),
        occurred_at=pl.lit(datetime(1998, 1, 1, tzinfo=UTC)),
        kind=pl.lit("store"),
        opening=pl.lit("Mo-Sa 09:00-21:00"),
        time_zone=pl.lit("America/Chicago"),
    )
    yield "LocationDescribed", conform("LocationDescribed", frame)
