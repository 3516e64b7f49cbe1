"""A history into logs, encoded once; where each event stands is noted beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bench.histories import Chunk, History
from tillroll.contract.registry import load_contract
from tillroll.log.port import EventLog, Record, TopicPartition
from tillroll.publisher import partition_of
from tillroll.publisher.encode import encode_frame, key_text

__all__ = ["BATCH", "Loaded", "load", "placed", "prepare", "schemas"]

BATCH = 5_000  # events an append, as Publisher.publish_frame does


@dataclass(frozen=True)
class Loaded:
    """What is in the logs. facts: the history's, with `partition` and `offset` of the event of each row."""

    history: History
    events: int
    facts: pl.DataFrame


def load(history: History, events: int, logs: Sequence[tuple[EventLog, int]]) -> Loaded:
    """The first `events` (and their counts) into each log, so many events an append. The logs have four partitions."""
    ends: dict[int, int] = {}
    parts = []
    for chunk in history.chunks(events):
        rows = placed(history, chunk, ends)
        for log, size in logs:
            _append(log, history.topic, rows, size)
        facts = pl.concat([history.facts(record, frame) for record, frame in chunk.items()])
        parts.append(facts.join(rows.select("n", "partition", "offset"), on="n", how="left"))
    return Loaded(history, sum(ends.values()), pl.concat(parts).sort("n"))


def prepare(log: EventLog, topic: str) -> EventLog:
    """`log` with the topics of the contract, as a publisher makes them."""
    log.create_topics(load_contract().topics.values())
    assert log.partitions(topic) == load_contract().topics[topic].partitions
    return log


def placed(history: History, chunk: Chunk, ends: dict[int, int]) -> pl.DataFrame:
    """n, key, value, event_id, partition and offset of every event in `chunk`, by n; `ends` moves on."""
    contract = load_contract()
    spec = contract.topics[history.topic]
    parts = [_encoded(record, frame) for record, frame in chunk.items()]
    rows = pl.concat(parts).sort("n")
    routing = {key: partition_of(key, spec.partitions) for key in rows["key"].unique()}
    rows = rows.with_columns(partition=pl.col("key").replace_strict(routing, return_dtype=pl.Int64))
    before = pl.col("partition").replace_strict(ends, default=0, return_dtype=pl.Int64) if ends else pl.lit(0)
    rows = rows.with_columns(offset=pl.int_range(pl.len()).over("partition") + before)
    ends |= dict(rows.group_by("partition").agg(pl.col("offset").max() + 1).iter_rows())
    return rows


def schemas(history: History) -> dict[str, Any]:
    """What a program without tillroll has to know of the events: record name to prefix (hex) and Avro schema."""
    known = {record: load_contract().latest(record) for record in history.records}
    return {record: {"prefix": schema.prefix.hex(), "avro": schema.avro} for record, schema in known.items()}


def _encoded(record: str, frame: pl.DataFrame) -> pl.DataFrame:
    schema = load_contract().latest(record)
    spec = load_contract().topics[schema.topic]
    values = encode_frame(schema, frame.drop("n"))
    return frame.select(
        "n",
        "event_id",
        key=key_text(spec, frame.columns).cast(pl.Binary),
        value=values,
    )


def _append(log: EventLog, topic: str, rows: pl.DataFrame, size: int) -> None:
    """`size` events a partition at a time, the partitions in turn: a log is not written one partition after the other."""
    parts = {}
    for (partition,), part in rows.partition_by("partition", as_dict=True).items():
        columns = (part[name].to_list() for name in ("key", "value", "event_id"))
        parts[TopicPartition(topic, int(partition))] = list(map(Record, *columns))
    for start in range(0, max(map(len, parts.values()), default=0), size):
        turn = {origin: records[start : start + size] for origin, records in parts.items()}
        log.append_all({origin: records for origin, records in turn.items() if records})
