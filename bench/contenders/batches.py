"""What a careful program does: confluent-kafka's `consume` in batches, fastavro, executemany, a commit a batch."""

from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.contenders import run
from bench.contenders.shapes import SHAPES, Decoder

BATCH = 5_000


def batches(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the first `events` events of the topic, rounded up to a batch."""
    shape, decode = SHAPES[job["shape"]], Decoder(job["schemas"])
    consumer = Consumer(
        {
            "bootstrap.servers": job["kafka"],
            "group.id": "bench-batches",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    numbers = sorted(consumer.list_topics(job["topic"]).topics[job["topic"]].partitions)
    partitions = [TopicPartition(job["topic"], n, 0) for n in numbers]
    consumer.assign(partitions)
    count = 0
    with psycopg.connect(job["store"]) as connection:
        connection.execute(shape.table.encode())
        connection.commit()
        upsert = shape.upsert.encode()
        while count < job["events"]:
            messages = consumer.consume(min(BATCH, job["events"] - count), timeout=1.0)
            if failed := next((message for message in messages if message.error()), None):
                raise KafkaException(failed.error())
            rows = [row for message in messages for row in shape.rows(*decode(message.value()))]
            with connection.cursor() as cursor:
                cursor.executemany(upsert, rows)
            connection.commit()
            count += len(messages)
    positions = {str(p.partition): max(p.offset, 0) for p in consumer.position(partitions)}
    consumer.close()
    return {"events": count, "positions": positions}


if __name__ == "__main__":
    run(batches)
