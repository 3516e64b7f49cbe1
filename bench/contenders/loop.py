"""What people write: kafka-python's iterator, fastavro, one upsert and one commit per event."""

from io import BytesIO
from typing import Any

import fastavro
import psycopg
from kafka import KafkaConsumer, TopicPartition

from bench.contenders import run
from tillroll.contract.registry import load_contract

TABLE = """
    create table loop_levels (sku text, location_id text, quantity bigint not null, last_moved_at timestamptz not null,
                              primary key (sku, location_id))"""
UPSERT = """
    insert into loop_levels as t values (%s, %s, %s, %s)
    on conflict (sku, location_id) do update
       set quantity = t.quantity + excluded.quantity, last_moved_at = greatest(t.last_moved_at, excluded.last_moved_at)"""


def loop(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the first `events` events of the topic, whatever partition they come from."""
    latest = load_contract().latest("StockReceived")
    schema = fastavro.parse_schema(latest.avro)
    consumer = KafkaConsumer(
        bootstrap_servers=job["kafka"], enable_auto_commit=False, auto_offset_reset="earliest"
    )
    partitions = [TopicPartition("stock", n) for n in sorted(consumer.partitions_for_topic("stock") or ())]
    consumer.assign(partitions)
    with psycopg.connect(job["store"]) as connection:
        connection.execute(TABLE)
        connection.commit()
        received = latest.prefix
        count = 0
        for message in consumer:
            if not message.value.startswith(received):
                continue  # a count: this read model knows receipts only
            count += 1
            event: Any = fastavro.schemaless_reader(BytesIO(message.value[5:]), schema, None)
            connection.execute(
                UPSERT, (event["sku"], event["location_id"], event["quantity"], event["occurred_at"])
            )
            connection.commit()
            if count == job["events"]:
                break
    positions = {str(p.partition): consumer.position(p) for p in partitions}
    consumer.close()
    return {"events": count, "positions": positions}


if __name__ == "__main__":
    run(loop)
