"""A ceiling: librdkafka, by confluent-kafka's `consume`, into nothing."""

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench.contenders import run


def consume(job: dict[str, Any]) -> dict[str, Any]:
    """Read `events` messages and look at none."""
    consumer = Consumer(
        {
            "bootstrap.servers": job["kafka"],
            "group.id": "bench-consume",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # By default it pauses for a second once 100,000 messages lie ready: a ceiling must not.
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 1_000_000,
        }
    )
    partitions = consumer.list_topics(job["topic"]).topics[job["topic"]].partitions
    consumer.assign([TopicPartition(job["topic"], n, 0) for n in partitions])
    count = 0
    while count < job["events"]:
        count += len(consumer.consume(min(10_000, job["events"] - count), timeout=1.0))
    consumer.close()
    return {"events": count}


if __name__ == "__main__":
    run(consume)
