"""A reading costs what it brings, however much of the partition is left: single appends may be millions of rows."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from tillroll.log import postgres
from tillroll.log.port import TopicPartition
from tillroll.log.postgres import OFFSETS_A_READ, OFFSETS_AT_HAND, PostgresLog
from tillroll.testing.log_contract import topic_spec

ROWS = 20_000
SINGLE, LARGE = TopicPartition("stock", 0), TopicPartition("stock", 1)

FILL = """
    insert into tillroll_log.batches (partition_id, base_offset, count, first_timestamp, last_timestamp, raw_bytes, body)
    select p.id, n * %(count)s, %(count)s, 0, 0, %(bytes)s, '' from generate_series(0, %(rows)s - 1) as n, tillroll_log.partitions p
     where topic = %(topic)s and partition = %(partition)s"""


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    log = PostgresLog(postgres_url)
    log.create_topics([topic_spec("stock", 2)])
    log.close()
    with psycopg.connect(postgres_url, autocommit=True) as opened:
        for (topic, partition), count, size in ((SINGLE, 1, 100), (LARGE, 1_000, 10_000)):
            filled = {"topic": topic, "partition": partition, "count": count, "bytes": size, "rows": ROWS}
            opened.execute(FILL, filled)
        opened.execute("update tillroll_log.partitions set next_offset = 100000000")
        yield opened


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize(
    ("query", "origin", "most"),
    [
        ("_READ", LARGE, OFFSETS_A_READ // 1_000 + 1),
        ("_READ_RUN", SINGLE, 101),
        ("_AHEAD", SINGLE, OFFSETS_AT_HAND),
    ],
)
def test_no_more_rows_are_looked_at_than_can_be_meant(
    connection: psycopg.Connection[TupleRow], query: str, origin: TopicPartition, most: int, analyzed: bool
) -> None:
    if analyzed:
        connection.execute("analyze tillroll_log.batches")
    row = connection.execute(
        "select id from tillroll_log.partitions where topic = %s and partition = %s", list(origin)
    ).fetchone()
    assert row is not None
    offsets = OFFSETS_AT_HAND if query == "_AHEAD" else OFFSETS_A_READ
    what = {"id": row[0], "offset": 0, "rows": 100, "offsets": offsets, "bytes": 1_000_000, "small": 512}
    what |= {
        "magic": postgres.ZSTD_MAGIC,
        "topics": ["stock"],
        "partitions": [origin.partition],
        "positions": [0],
    }
    explained = psycopg.ClientCursor(connection).execute(
        f"explain (analyze, format json) {getattr(postgres, query)}", what
    )
    ((plans,),) = explained.fetchall()
    assert 0 < max(_looked_at(plans[0]["Plan"])) <= most


def _looked_at(plan: dict[str, Any]) -> Iterator[int]:
    """Of every scan of the batches, how many rows it gave."""
    if plan.get("Relation Name") == "batches":
        yield int(plan["Actual Rows"] * plan["Actual Loops"])
    for below in plan.get("Plans", ()):
        yield from _looked_at(below)
