"""Small batches that a reading joins read as they were written, whatever stands between them."""

from collections.abc import Iterator

import psycopg
import pytest

from tillroll.log.encode import encode_values
from tillroll.log.port import TopicPartition
from tillroll.log.postgres import LEAST_TO_COMPRESS, PostgresLog
from tillroll.log.records import FEWEST_FOR_BLOCKS, read_records
from tillroll.testing.log_contract import topic_spec

ORIGIN = TopicPartition("stock", 0)
EVENTS = 3 * FEWEST_FOR_BLOCKS
START = 1_700_000_000_000  # milliseconds

INSERT = """
    insert into tillroll_log.batches (partition_id, base_offset, count, first_timestamp, last_timestamp, raw_bytes, body)
    select p.id, %s, %s, %s, %s, %s, %s from tillroll_log.partitions p where topic = 'stock' and partition = 0"""


@pytest.fixture
def log(postgres_url: str) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres_url)
    log.create_topics([topic_spec("stock", 1)])
    yield log
    log.close()


def values(pattern: str) -> list[list[bytes]]:
    """Batches in turn as `pattern` says: a single event, a pair, one too large to be joined; none is like another."""
    sizes, out, n = {"single": (1, 20), "pair": (2, 20), "large": (1, LEAST_TO_COMPRESS)}, [], 0
    while n < EVENTS:
        for count, size in (sizes[word] for word in pattern.split()):
            out.append([b"%d" % (n + place) + b"x" * size for place in range(count)])
            n += count
    return out


@pytest.mark.parametrize(
    "pattern", ["single", "pair single", "single large", "single pair large large", "large"]
)
def test_they_read_as_they_were_written(log: PostgresLog, postgres_url: str, pattern: str) -> None:
    rows, offset = [], 0
    for number, batch in enumerate(values(pattern)):
        body, time = encode_values([b"k"] * len(batch), batch), START + 7 * number
        rows.append((offset, len(batch), time, time, len(body), body))
        offset += len(batch)
    with psycopg.connect(postgres_url) as connection:
        connection.cursor().executemany(INSERT, rows)
        connection.execute("update tillroll_log.partitions set next_offset = %s", [offset])
    read, at = [], 0
    while batches := log.read(ORIGIN, at):
        read += read_records(batches).select("_offset", "_recorded_at", "value").rows()
        at = batches[-1].next_offset
    assert at == offset
    assert [place for place, _, _ in read] == list(range(offset))
    assert [value for _, _, value in read] == [value for batch in values(pattern) for value in batch]
    times = [time for _, count, time, *_ in rows for _ in range(count)]
    assert [round(time.timestamp() * 1000) for _, time, _ in read] == times
