"""Writing to Kafka as the clients' own documentation teaches: fastavro, and the idempotent producer of either."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import fastavro

from bench.contenders import cpu, run
from bench.histories.flat import FEW
from tillroll.contract.registry import load_contract

SETTINGS = {"enable.idempotence": True, "acks": "all", "compression.type": "zstd", "linger.ms": 20}

Send = Callable[[int, bytes, bytes], None]
"""(partition, key, value) into the producer."""


def produce(job: dict[str, Any]) -> dict[str, Any]:
    """Send `events` receipts by `client`, after one that lets it connect; `each`: wait for every one before the next."""
    rows = FEW.chunk(0, job["events"] + 1)["StockReceived"].drop("n").to_dicts()
    latest = load_contract().latest("StockReceived")
    prefix, schema = latest.prefix, fastavro.parse_schema(latest.avro)
    opened = _kafka_python if job["client"] == "kafka-python" else _confluent
    with opened(job["kafka"], job["each"]) as (send, flush):

        def send_all(rows: list[dict[str, Any]]) -> None:
            for row in rows:
                out = BytesIO()
                fastavro.schemaless_writer(out, schema, row)
                key = f"{row['sku']}|{row['location_id']}".encode()
                send(zlib.crc32(key) % 4, key, prefix + out.getvalue())
            flush()

        send_all(rows[-1:])
        before, start = cpu(), time.perf_counter()
        send_all(rows[:-1])
        taken = {"seconds": time.perf_counter() - start, "cpu": cpu() - before}
    return {"events": job["events"], "extra": 1} | taken


@contextmanager
def _kafka_python(address: str, each: bool) -> Iterator[tuple[Send, Callable[[], Any]]]:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=address,
        enable_idempotence=True,
        acks="all",
        compression_type="zstd",
        linger_ms=0 if each else 20,
        batch_size=960 * 1024,
    )

    def send(partition: int, key: bytes, value: bytes) -> None:
        sent = producer.send("stock", key=key, value=value, partition=partition)
        if each:
            sent.get(timeout=30)

    yield send, producer.flush
    producer.close()


@contextmanager
def _confluent(address: str, each: bool) -> Iterator[tuple[Send, Callable[[], Any]]]:
    from confluent_kafka import Producer

    linger = {"linger.ms": 0} if each else {}
    producer = Producer(
        SETTINGS | linger | {"bootstrap.servers": address, "queue.buffering.max.messages": 2_000_000}
    )

    def send(partition: int, key: bytes, value: bytes) -> None:
        producer.produce("stock", key=key, value=value, partition=partition)
        if each:
            producer.flush()
        else:
            producer.poll(0)

    yield send, producer.flush


if __name__ == "__main__":
    run(produce)
