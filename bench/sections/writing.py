"""The write side: events one by one, some at a time, as an import; and encoding alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bench.histories.flat import FEW
from bench.loading import prepare
from bench.measuring import Contender, Scenario, play
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage
from tillroll.log import extent
from tillroll.settings import open_log

__all__ = ["writing"]

AT_ONCE = 500


def writing(stage: Stage, sizes: Sizes) -> list[Section]:
    """Three ways to write, and encoding without a log."""
    with stage.kafka() as kafka:
        prepare(open_log(f"kafka://{kafka}", Path()), "stock").close()
        ways = (
            ("one by one", "publishing one by one, each durable before the next", sizes.written, 1),
            (
                "pipelined",
                f"publishing pipelined, {AT_ONCE} at a time where a call takes several",
                sizes.pipelined,
                AT_ONCE,
            ),
            ("import", "importing in bulk", sizes.imported, 0),
        )
        sections = [_way(stage, sizes, kafka, *way) for way in ways]
    return [*sections, _encoding(stage, sizes)]


def _way(stage: Stage, sizes: Sizes, kafka: str, name: str, title: str, events: int, at_once: int) -> Section:
    writers = _Writers(stage, kafka, events, at_once)
    scenarios = [
        writers.client("kafka-python's idempotent producer, fastavro", "kafka-python"),
        writers.client("confluent-kafka's idempotent producer, fastavro", "confluent"),
        writers.eventsourcing("eventsourcing on PostgreSQL", min(events, sizes.slow)),
        writers.tillroll("tillroll, Kafka", f"kafka://{kafka}"),
        writers.tillroll("tillroll, PostgresLog", ""),
    ]
    play(scenarios, sizes.side_runs, stage.database, stage.drop, warm=False)
    return Section(name, title, "events", events).take(scenarios)


class _Writers:
    """Who writes `events` receipts, with a check that the log holds them afterwards."""

    def __init__(self, stage: Stage, kafka: str, events: int, at_once: int):
        self.stage, self.kafka, self.events, self.at_once = stage, kafka, events, at_once
        self._held = _held(f"kafka://{kafka}")

    def client(self, name: str, client: str) -> Scenario:
        job = {
            "kafka": self.kafka,
            "client": client,
            "each": self.at_once == 1,
            "events": self.events,
        }
        return Scenario(Contender(name, "produced", job, None), self._grown)

    def tillroll(self, name: str, log: str) -> Scenario:
        job = {"log": log, "events": self.events, "at_once": self.at_once}
        contender = Contender(name, "published", job, None if log else "")
        return Scenario(contender, self._grown if log else self._filled)

    def eventsourcing(self, name: str, events: int) -> Scenario:
        """By the events it stores, of which the first of an item tells that the item is new; the first `events`."""
        rows = FEW.facts("StockReceived", FEW.chunk(0, events)["StockReceived"])
        path = self.stage.directory / f"write-{events}.parquet"
        columns = ("sku", "location_id", "quantity", pl.col("occurred_at").dt.epoch("us"))
        rows.select(*columns).write_parquet(path)
        job = {"rows": str(path), "at_once": self.at_once or AT_ONCE, "extra": True}
        return Scenario(Contender(name, "eventsourced", job), _stored)

    def _grown(self, store: str, answer: dict[str, Any]) -> bool:
        """Whether Kafka holds as many more as were written."""
        before, self._held = self._held, _held(f"kafka://{self.kafka}")
        return bool(self._held - before == self.events + answer["extra"])

    def _filled(self, store: str, answer: dict[str, Any]) -> bool:
        return bool(_held(store) == self.events + answer["extra"])


def _stored(store: str, answer: dict[str, Any]) -> bool:
    with psycopg.connect(store) as connection:
        row = connection.execute("select count(*) from stock_events").fetchone()
    return row == (answer["events"] + answer["extra"],)


def _held(address: str) -> int:
    """How many events the log holds."""
    log = open_log(address, Path())
    try:
        return sum(extent.ends(log, ["stock"]).values())
    finally:
        log.close()


def _encoding(stage: Stage, sizes: Sizes) -> Section:
    """Both ways give the same bytes, or the check says no."""
    digests: set[str] = set()

    def same(store: str, answer: dict[str, Any]) -> bool:
        digests.add(answer["digest"])
        return len(digests) == 1

    check: Callable[[str, dict[str, Any]], bool] = same
    ways = (("fastavro, kafka-python's builder", "fastavro"), ("tillroll", "tillroll"))
    scenarios = [
        Scenario(Contender(name, "encoding", {"events": sizes.imported, "way": way}, None), check)
        for name, way in ways
    ]
    play(scenarios, sizes.side_runs, stage.database, stage.drop, warm=False)
    title = "encoding frames of events into record batches; right: the same bytes"
    return Section("encoding", title, "events", sizes.imported).take(scenarios)
