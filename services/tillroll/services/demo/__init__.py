"""The demo: a year of TPC-DS through the log into the read models, then the shoe. Real events, the real path.

It tells its story as values (`Said`, `Shown`), so that whoever runs it decides how it looks.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tillroll.contract.registry import Contract
from tillroll.errors import TillrollError
from tillroll.events import (
    DispositionedLine,
    Event,
    ReservationMade,
    ReturnDispositioned,
    ReturnLine,
    ReturnReceived,
    StockReceived,
    event_id_for,
)
from tillroll.log.port import EventLog
from tillroll.projection.declare import Projection
from tillroll.publisher import Published, Publisher
from tillroll.services.histories import tpcds
from tillroll.services.nearby import nearby
from tillroll.services.projector.runner import project_once
from tillroll.store.postgres import PostgresStore

__all__ = ["Said", "Shown", "demo"]

SHOE = "demo-shoe-42"
HERE, NEXT, FAR, THIRD = "store-franklin", "store-brentwood", "store-nashville", "store-murfreesboro"
NAMES = {HERE: "Franklin", NEXT: "Brentwood", FAR: "Nashville", THIRD: "Murfreesboro"}
ROWS = 3

TOTALS = (
    ("orders by channel", "select channel, sum(orders) as orders, sum(units) as units, sum(gross_minor) / 100.0 as gross, "
     "sum(returned_units) as returned, sum(refunded_minor) / 100.0 as refunded from channel_sales group by channel order by channel"),
    ("orders by status", "select status, count(*) as orders from order_status group by 1 order by 2 desc, 1"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the story; `heading` marks a new chapter."""

    text: str
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A table of the story."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def demo(
    log: EventLog, store: PostgresStore, contract: Contract, projections: Iterable[type[Projection]]
) -> Iterator[Said | Shown]:
    """Tell the whole story on `log` and `store`; run again, it adds nothing and shows the same rows."""
    models = list(projections)
    publisher = Publisher(log, contract)
    yield from _import(publisher)
    yield from _project(log, store, contract, models)
    yield from _look(store)
    yield from _shoe(publisher, log, store, contract, models)
    yield from _go_on()


def _import(publisher: Publisher) -> Iterator[Said | Shown]:
    yield Said("A year of real retail history becomes events", heading=True)
    start, total = time.monotonic(), Published()
    with tpcds.history(0.01) as history:
        for record, frame in (*tpcds.demo_stores(), *history.frames()):
            total += publisher.publish_frame(record, frame)
        summary = history.summary
    seconds = time.monotonic() - start
    yield Shown("published from TPC-DS at scale 0.01", ("event type", "events"), list(summary.events.items()))
    left_out = ", ".join(f"{count} {reason}" for reason, count in summary.rejected.items()) or "nothing"
    yield Said(
        f"{total.new:,} events are in the log now, {total.duplicates:,} were there before, "
        f"{(total.new + total.duplicates) / seconds:,.0f} events/s. Left out: {left_out}."
    )


def _project(
    log: EventLog, store: PostgresStore, contract: Contract, models: Sequence[type[Projection]]
) -> Iterator[Said | Shown]:
    yield Said("The log becomes read models", heading=True)
    rows = []
    for model in models:
        start = time.monotonic()
        done = project_once(log, store, contract, [model])
        seconds = time.monotonic() - start
        rows.append((model.name, f"{done.events:,}", done.dead, f"{done.events / seconds:,.0f}"))
    yield Shown("projected", ("read model", "events", "dead letters", "events/s"), rows)


def _look(store: PostgresStore) -> Iterator[Said | Shown]:
    yield Said("What the read models say", heading=True)
    for view in ("store_availability", "order_status_lines", "customer_history", "channel_sales"):
        yield _table(store, f"{view}, first rows", f"select * from {view} order by 1, 2, 3 limit {ROWS}")
    for title, query in TOTALS:
        yield _table(store, title, query)


def _shoe(
    publisher: Publisher,
    log: EventLog,
    store: PostgresStore,
    contract: Contract,
    models: Sequence[type[Projection]],
) -> Iterator[Said | Shown]:
    """Size gone here, two stores nearby have it, one is set aside, and one comes back at a third."""

    def happens(*events: Event) -> None:
        refused = [answer for answer in publisher.publish(events) if answer.conflict]
        if refused:
            raise TillrollError(
                f"the demo's own events stand in this log with other content: {refused[0].position}"
            )
        project_once(log, store, contract, models)

    yield Said("The shoe", heading=True)
    happens(*(_stock(place, units) for place, units in ((NEXT, 1), (FAR, 2))))
    yield Said(
        f"A shop assistant in {NAMES[HERE]} scans a shoe, size 42. It is gone here. Who nearby has it?"
    )
    yield _nearby(store)
    happens(_reserved())
    yield Said(f"She has the pair in {NAMES[NEXT]} set aside for her customer.")
    yield _nearby(store)
    happens(_returned(), _dispositioned())
    yield Said(
        f"Meanwhile somebody returns that very pair in {NAMES[THIRD]}, unworn: it can be sold again at once."
    )
    yield _nearby(store)
    yield _table(store, "the shoe, everywhere", _EVERYWHERE)


_EVERYWHERE = f"""
    select location_id, on_hand, reserved, sellable, last_moved_at
      from store_availability where sku = '{SHOE}' order by location_id"""


def _go_on() -> Iterator[Said]:
    yield Said("Go on from here", heading=True)
    for command in (
        "tillroll query store_availability sku=demo-shoe-42",
        "tillroll query channel_sales channel=web --limit 5",
        "tillroll query order_status_lines status=returned --json --limit 1",
        "tillroll status",
        "tillroll new projection my_model",
        "tillroll --help",
    ):
        yield Said(f"  {command}")


# --- events of the shoe --------------------------------------------------------------------------------


def _envelope(kind: str, key: str, hour: int) -> dict[str, Any]:
    """The same ids and times in every run: the demo's events are facts, telling them again adds nothing."""
    return {
        "event_id": event_id_for("demo", kind, key),
        "source": "demo",
        "channel": "store",
        "occurred_at": datetime(2026, 3, 14, hour, tzinfo=UTC),
        "business_date": date(2026, 3, 14),
    }


def _stock(place: str, units: int) -> Event:
    return StockReceived(
        **_envelope("StockReceived", f"{SHOE}/{place}", 8), sku=SHOE, location_id=place, quantity=units
    )


def _reserved() -> Event:
    return ReservationMade(
        **_envelope("ReservationMade", SHOE, 10),
        reservation_id="demo-1",
        sku=SHOE,
        location_id=NEXT,
        quantity=1,
    )


def _returned() -> Event:
    return ReturnReceived(
        **_envelope("ReturnReceived", SHOE, 11),
        return_id="demo-return",
        currency="USD",
        lines=[ReturnLine(**_line())],
    )


def _dispositioned() -> Event:
    return ReturnDispositioned(
        **_envelope("ReturnDispositioned", SHOE, 11),
        return_id="demo-return",
        currency="USD",
        lines=[DispositionedLine(**_line(), disposition="sellable")],
    )


def _line() -> dict[str, Any]:
    return {"line_id": "1", "sku": SHOE, "kind": "PRODUCT", "location_id": THIRD, "quantity": 1}


# --- tables --------------------------------------------------------------------------------------------


def _nearby(store: PostgresStore) -> Shown:
    found = nearby(store, SHOE, HERE)
    rows = [
        (place.name, "?" if place.km is None else f"{place.km:.0f} km", place.sellable) for place in found
    ]
    return Shown(f"who has size 42, from {NAMES[HERE]}", ("store", "distance", "to sell"), rows)


def _table(store: PostgresStore, title: str, query: str) -> Shown:
    with store.connection() as connection:
        cursor = connection.execute(query.encode())
        columns = [column.name for column in cursor.description or ()]
        return Shown(title, columns, cursor.fetchall())
