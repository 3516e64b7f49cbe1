"""The eventsourcing library on PostgreSQL as its documentation teaches: aggregates, and a projection that is tracked.

A stock item is an aggregate; a projection with a view of its own commits each event's row with its tracking.
"""

import time
from datetime import UTC, datetime
from functools import singledispatchmethod
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import get_topic
from psycopg.sql import SQL

from bench.contenders import cpu, run
from bench.contenders.shapes import SHAPES

LONGEST = 900.0
# Who writes alone keeps aggregates in memory, and need not ask whether somebody else has changed them.
CACHE = {"AGGREGATE_CACHE_MAXSIZE": "10000", "AGGREGATE_CACHE_FASTFORWARD": "no"}


class StockItem(Aggregate):
    """Units of a product at a place."""

    def __init__(self, sku: str, location_id: str):
        self.sku, self.location_id, self.quantity = sku, location_id, 0

    @staticmethod
    def create_id(sku: str, location_id: str) -> UUID:
        """The same for the same product and place."""
        return uuid5(NAMESPACE_URL, f"/stock/{sku}/{location_id}")

    class Received(Aggregate.Event):
        """Goods came in. Product and place stand in the event for those who project it."""

        sku: str
        location_id: str
        quantity: int
        moved_at: str

    @event(Received)
    def receive(self, sku: str, location_id: str, quantity: int, moved_at: str) -> None:
        """Book them."""
        self.quantity += quantity


class Stock(Application[UUID]):
    """The store of stock items."""

    def item(self, sku: str, location_id: str) -> StockItem:
        """The item, new or as stored."""
        try:
            found: StockItem = self.repository.get(StockItem.create_id(sku, location_id))
        except AggregateNotFoundError:
            return StockItem(sku, location_id)
        return found


class Levels(PostgresTrackingRecorder):
    """The view: rows, each committed with the position it stands for. Tells when it was last through, and the CPU seconds by then."""

    through = 0.0, 0.0

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any):
        super().__init__(datastore, **kwargs)
        table = SHAPES["stock"].table.replace("create table", "create table if not exists")
        self.sql_create_statements.append(SQL(table))

    def add(self, row: tuple[Any, ...], tracking: Tracking) -> None:
        """One event's contribution."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(SHAPES["stock"].upsert, row, prepare=True)
        Levels.through = time.perf_counter(), cpu()


class StockProjection(Projection[Levels]):
    """Receipts into the view."""

    name = "stocklevels"
    topics = (get_topic(StockItem.Received),)

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Other events have no row."""

    @process_event.register
    def _(self, domain_event: StockItem.Received, tracking: Tracking) -> None:
        moved_at = datetime.fromisoformat(domain_event.moved_at)
        row = (domain_event.sku, domain_event.location_id, domain_event.quantity, moved_at)
        self.view.add(row, tracking)


def environment(url: str) -> dict[str, str]:
    """The library's settings for a database."""
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": parts.username or "postgres",
        "POSTGRES_PASSWORD": parts.password or "none",
    }


def fill(app: Stock, rows: list[tuple[str, str, int, int]], at_once: int) -> int:
    """`rows` (sku, place, quantity, microseconds) into the store, so many items a transaction; events stored."""
    events = 0
    for start in range(0, len(rows), at_once):
        items: dict[tuple[str, str], StockItem] = {}
        for sku, place, quantity, micros in rows[start : start + at_once]:
            item = items.get((sku, place)) or app.item(sku, place)
            items[sku, place] = item
            item.receive(sku, place, quantity, datetime.fromtimestamp(micros / 1e6, UTC).isoformat())
        events += len(app.save(*items.values()))
    return events


def project(job: dict[str, Any]) -> dict[str, Any]:
    """Run the projection over everything stored. The clock stops at the last row: `wait` looks only now and then."""
    settings = environment(job["store"])
    used, start = cpu(), time.perf_counter()
    with ProjectionRunner(
        application_class=Stock, projection_class=StockProjection, view_class=Levels, env=settings
    ) as runner:
        runner.wait(runner.app.recorder.max_notification_id(), timeout=LONGEST)
    end, used_by_then = Levels.through
    answer = {"events": job["events"], "first": job["events"]}
    return answer | {"seconds": end - start, "cpu": used_by_then - used}


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Store the receipts of a Parquet file; with `extra`, after another that lets it connect."""
    rows = pl.read_parquet(job["rows"]).rows()
    app = Stock(environment(job["store"]) | CACHE)
    extra = fill(app, [("extra", "extra", 1, 0)], 1) if job.get("extra") else 0
    used, start = cpu(), time.perf_counter()
    events = fill(app, rows, job["at_once"])
    taken = {"seconds": time.perf_counter() - start, "cpu": cpu() - used}
    app.close()
    return {"events": events, "extra": extra} | taken


if __name__ == "__main__":
    run(lambda job: load(job) if "rows" in job else project(job))
