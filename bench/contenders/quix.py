"""Quix Streams as its documentation teaches: keyed state for the running totals, and its PostgreSQL sink."""

import tempfile
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application, State
from quixstreams.sinks.base import SinkBatch
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from bench.contenders import cpu, run
from bench.contenders.shapes import SHAPES, Decoder

GROUP = "bench-quix"


class Timed(PostgreSQLSink):
    """The sink, on the table that all have, telling when it was last through: shutting down is not counted."""

    through = 0.0

    def setup(self) -> None:
        """Connect, and make the table."""
        super().setup()
        with self._client, self._client.cursor() as cursor:
            cursor.execute(SHAPES["stock"].table)

    def write(self, batch: SinkBatch) -> None:
        """As ever."""
        super().write(batch)
        self.through = time.perf_counter()


def stream(job: dict[str, Any]) -> dict[str, Any]:
    """Fold `events` events. The clock runs from the first event on: joining the group is not counted either."""
    decode, started = Decoder(job["schemas"]), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=job["kafka"],
            consumer_group=GROUP + job["store"].rpartition("bench_")[2].partition("?")[0],
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="ERROR",
        )
        topic = app.topic(job["topic"], value_deserializer="bytes", key_deserializer="str")
        sink = Timed(**_address(job["store"]))

        def decoded(value: bytes) -> dict[str, Any]:
            if not started:
                started.append((time.perf_counter(), cpu()))
            record, event = decode(value)
            return {"record": record, **event}

        frame = app.dataframe(topic).apply(decoded)
        frame = frame[frame["record"] == "StockReceived"].apply(total, stateful=True)
        frame.apply(row).sink(sink)
        app.run(count=job["events"], timeout=30, collect=False)
        positions = _positions(app, job["topic"])
    begun, used = started[0]
    answer = {"events": sum(positions.values()), "positions": positions}
    return answer | {"seconds": sink.through - begun, "cpu": cpu() - used}


def total(event: dict[str, Any], state: State) -> dict[str, Any]:
    """The key's running total with this event in it."""
    known = state.get("total") or {"quantity": 0, "moved": 0}
    moved = int(event["occurred_at"].timestamp() * 1_000_000)
    now = {"quantity": known["quantity"] + event["quantity"], "moved": max(known["moved"], moved)}
    state.set("total", now)
    return {"sku": event["sku"], "location_id": event["location_id"], **now}


def row(totals: dict[str, Any]) -> dict[str, Any]:
    """As the table has it."""
    moved = datetime.fromtimestamp(totals["moved"] / 1_000_000, UTC)
    return {name: totals[name] for name in ("sku", "location_id", "quantity")} | {"last_moved_at": moved}


def _address(store: str) -> dict[str, Any]:
    parts = urlsplit(store)
    return {
        "host": parse_qs(parts.query)["host"][0],
        "port": 5432,
        "dbname": parts.path.lstrip("/"),
        "user": parts.username,
        "password": parts.password or "none",
        "table_name": "peer_rows",
        "primary_key_columns": ["sku", "location_id"],
        "upsert_on_primary_key": True,
        "schema_auto_update": False,
        "include_metadata": False,
    }


def _positions(app: Application, topic: str) -> dict[str, int]:
    """How far the group has committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": app.config.broker_address.bootstrap_servers,
            "group.id": app.config.consumer_group,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    found = consumer.committed([TopicPartition(topic, n) for n in partitions])
    consumer.close()
    return {str(p.partition): max(p.offset, 0) for p in found}


if __name__ == "__main__":
    run(stream)
