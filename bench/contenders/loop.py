"""What people write: kafka-python's iterator, fastavro, one upsert per row; a commit every `commit` events.

With `waits` false it does not wait for the disk at each of them, as tillroll's projectors do not.
"""

from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition

from bench.contenders import run
from bench.contenders.shapes import SHAPES, Decoder


def loop(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the first `events` events of the topic, whatever partition they come from."""
    shape, decode = SHAPES[job["shape"]], Decoder(job["schemas"])
    consumer = KafkaConsumer(
        bootstrap_servers=job["kafka"], enable_auto_commit=False, auto_offset_reset="earliest"
    )
    partitions = [TopicPartition(job["topic"], n) for n in consumer.partitions_for_topic(job["topic"]) or ()]
    consumer.assign(partitions)
    with psycopg.connect(job["store"]) as connection:
        connection.execute(shape.table.encode())
        if not job.get("waits", True):
            connection.execute("set synchronous_commit = off")
        connection.commit()
        upsert = shape.upsert.encode()
        for count, message in enumerate(consumer, 1):
            for row in shape.rows(*decode(message.value)):
                connection.execute(upsert, row)
            if count % job["commit"] == 0 or count == job["events"]:
                connection.commit()
            if count == job["events"]:
                break
    positions = {str(p.partition): consumer.position(p) for p in partitions}
    consumer.close()
    return {"events": job["events"], "positions": positions}


if __name__ == "__main__":
    run(loop)
