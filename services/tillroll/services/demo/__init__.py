"""The demo: a TPC-DS history through the log into the read models, then the shoe. The real path throughout.

It tells its story as values (`Said`, `Shown`), so that whoever runs it decides how it looks.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from tillroll.contract.registry import Contract
from tillroll.log.port import EventLog
from tillroll.projection.declare import Projection
from tillroll.publisher import Published, Publisher
from tillroll.services.demo.shoe import story_of_the_shoe
from tillroll.services.demo.story import Said, Shown, table_of
from tillroll.services.histories import tpcds
from tillroll.services.projector.runner import project_once
from tillroll.store.postgres import PostgresStore

__all__ = ["Said", "Shown", "demo"]

ROWS = 3  # of each read model

# The columns that tell most, so that a row fits on a screen.
FIRST_ROWS = {
    "store_availability": "sku, location_id, on_hand, reserved, sellable, unknown_quantities, last_moved_at",
    "order_status_lines": "order_id, line_id, ordered, sourced, shipped, collected, returned, status",
    "customer_history": "reference, occurred_at, kind, channel, order_id, amount_minor, currency",
    "channel_sales": "business_date, channel, location_id, orders, units, gross_minor, unknown_quantities",
}

TOTALS = (
    ("orders by channel", "select channel, sum(orders) as orders, sum(units) as units, sum(gross_minor) / 100.0 as gross, "
     "sum(returned_units) as returned, sum(refunded_minor) / 100.0 as refunded from channel_sales group by channel order by channel"),
    ("orders by status", "select status, count(*) as orders from order_status group by 1 order by 2 desc, 1"),
)  # fmt: skip

WHY = (
    "On hand is below zero where TPC-DS sells without opening stock; negative stock is shown, never clamped.",
    "It leaves about one value in twenty open, such as a location_id. An open quantity is counted as unknown, not as "
    "zero, and its order is `unknown`.",
)

COMMANDS = (
    "tillroll query store_availability sku=demo-shoe-42",
    "tillroll query channel_sales channel=web --limit 5",
    "tillroll query order_status_lines status=returned --json --limit 1",
    "tillroll status",
    "tillroll new projection my_model",
    "tillroll --help",
)


def demo(
    log: EventLog, store: PostgresStore, contract: Contract, projections: Iterable[type[Projection]]
) -> Iterator[Said | Shown]:
    """Tell the whole story on `log` and `store`; run again, it adds nothing and ends with the same rows."""
    models = list(projections)
    publisher = Publisher(log, contract)
    yield from _import(publisher)
    yield from _project(log, store, contract, models)
    yield from _look(store)
    yield from story_of_the_shoe(publisher, log, store, contract, models)
    yield Said("Go on from here", heading=True)
    for command in COMMANDS:
        yield Said(f"  {command}")


def _import(publisher: Publisher) -> Iterator[Said | Shown]:
    yield Said("Retail history becomes events", heading=True)
    start, total = time.monotonic(), Published()
    with tpcds.history(0.01) as history:
        for record, frame in (*tpcds.demo_stores(), *history.frames()):
            total += publisher.publish_frame(record, frame)
        summary = history.summary
    seconds = time.monotonic() - start
    yield Shown("published from TPC-DS at scale 0.01", ("event type", "events"), list(summary.events.items()))
    yield Said(
        f"{total.new:,} events are new in the log, {total.duplicates:,} were there before; "
        f"{(total.new + total.duplicates) / seconds:,.0f} events/s, making the history included."
    )
    if summary.rejected:
        yield Shown(
            "left out, for what TPC-DS does not tell",
            ("reason", "rows"),
            list(summary.rejected.items()),
        )


def _project(
    log: EventLog, store: PostgresStore, contract: Contract, models: Sequence[type[Projection]]
) -> Iterator[Said | Shown]:
    yield Said("The log becomes read models", heading=True)
    rows = []
    for model in models:
        start = time.monotonic()
        done = project_once(log, store, contract, [model])
        rows.append((model.name, done.events, done.dead, round(done.events / (time.monotonic() - start))))
    yield Shown("projected", ("read model", "events", "dead letters", "events/s"), rows)


def _look(store: PostgresStore) -> Iterator[Said | Shown]:
    yield Said("What the read models say", heading=True)
    for view, columns in FIRST_ROWS.items():
        query = f"select {columns} from {view} order by 1, 2, 3 limit {ROWS}"
        yield table_of(store, f"{view}, first rows", query)
    for title, query in TOTALS:
        yield table_of(store, title, query)
    for sentence in WHY:
        yield Said(sentence)
