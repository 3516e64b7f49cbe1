"""Frames of events into the bodies of record batches: tillroll's way, and fastavro with kafka-python's builder."""

import hashlib
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import fastavro
import polars as pl
from kafka.record.default_records import DefaultRecordBatchBuilder

from bench.contenders import cpu, run
from bench.histories.flat import FEW
from tillroll.contract.registry import EventSchema, load_contract
from tillroll.log.encode import encode_fresh
from tillroll.publisher.encode import encode_frame, key_text

BATCH = 5_000
NOW = 1_767_225_600_000  # milliseconds; every record of a batch has the time of the batch


def encode(job: dict[str, Any]) -> dict[str, Any]:
    """Encode `events` receipts by `way`; a digest over the bodies shows that both give the same bytes."""
    frame = FEW.chunk(0, job["events"])["StockReceived"].drop("n")
    schema = load_contract().latest("StockReceived")
    rows = frame.to_dicts() if job["way"] == "fastavro" else []
    before, start = cpu(), time.perf_counter()
    bodies = list(_by_fastavro(schema, rows) if rows else _by_tillroll(schema, frame))
    taken = {"seconds": time.perf_counter() - start, "cpu": cpu() - before}
    digest = hashlib.sha256(b"".join(bodies)).hexdigest()
    return {"events": len(frame), "digest": digest} | taken


def _by_tillroll(schema: EventSchema, frame: pl.DataFrame) -> Iterator[bytes]:
    spec = load_contract().topics["stock"]
    keys = frame.select(key=key_text(spec, frame.columns).cast(pl.Binary))["key"]
    for start in range(0, len(frame), BATCH):
        values = encode_frame(schema, frame[start : start + BATCH])
        yield encode_fresh(pl.DataFrame({"key": keys[start : start + BATCH], "value": values}))


def _by_fastavro(schema: EventSchema, rows: list[dict[str, Any]]) -> Iterator[bytes]:
    parsed, prefix = fastavro.parse_schema(schema.avro), schema.prefix
    for start in range(0, len(rows), BATCH):
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
        for offset, row in enumerate(rows[start : start + BATCH]):
            out = BytesIO(prefix)
            out.seek(len(prefix))
            fastavro.schemaless_writer(out, parsed, row)
            key = f"{row['sku']}|{row['location_id']}".encode()
            builder.append(offset, NOW, key, out.getvalue(), [])
        yield bytes(builder.build())[DefaultRecordBatchBuilder.HEADER_STRUCT.size :]


if __name__ == "__main__":
    run(encode)
