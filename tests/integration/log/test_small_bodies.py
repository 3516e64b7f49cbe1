"""Bodies of an event or two stand in the log as they are; large ones are compressed, and both are read alike."""

from collections.abc import Iterator

import cramjam
import pytest
from tests.integration.projector.admission import CONTRACT, put, received

from tillroll.log.decode import decode_batches
from tillroll.log.port import TopicPartition
from tillroll.log.postgres import PostgresLog


@pytest.fixture
def log(postgres_url: str) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres_url)
    log.create_topics(CONTRACT.topics.values())
    yield log
    log.close()


def sizes(log: PostgresLog) -> list[tuple[int, bool]]:
    """(events, whether the body stands as it is) of every row."""
    with log._open() as connection:
        rows = connection.execute(
            "select count, octet_length(body) = raw_bytes from tillroll_log.batches order by base_offset"
        ).fetchall()
    return list(rows)


def test_small_bodies_stand_as_they_are_until_they_are_put_together(log: PostgresLog) -> None:
    for quantity in range(200):
        put(log, 0, received(quantity))
    put(log, 0, *(received(quantity) for quantity in range(200, 300)))
    assert sizes(log) == [(1, True)] * 200 + [(100, False)]
    before = quantities(log)
    sum(log.tidy())
    assert len(sizes(log)) < 200
    assert quantities(log) == before == list(range(300))


def test_small_bodies_come_end_to_end_and_large_ones_by_themselves(log: PostgresLog) -> None:
    put(log, 0, *(received(quantity) for quantity in range(100)))
    for quantity in range(100, 105):
        put(log, 0, received(quantity))
    put(log, 0, *(received(quantity) for quantity in range(105, 200)))
    put(log, 0, received(200))
    batches = log.read(TopicPartition("stock", 0), 0)
    assert [batch.count for batch in batches] == [100, 5, 95, 1]
    assert quantities(log) == list(range(201))
    assert quantities(log, 102) == list(range(102, 201))


def test_a_small_body_that_had_to_be_compressed_is_none_of_them(log: PostgresLog) -> None:
    put(log, 0, received(0))
    with log._open() as connection:  # as it would be if its first bytes were those of a compressed one
        row = connection.execute("select body from tillroll_log.batches").fetchone()
        packed = cramjam.zstd.compress(row[0])
        connection.execute("update tillroll_log.batches set body = %b", [bytes(packed)])
    put(log, 0, received(1))
    assert quantities(log) == [0, 1]


def quantities(log: PostgresLog, offset: int = 0) -> list[int]:
    batches = log.read(TopicPartition("stock", 0), offset)
    found: list[int] = decode_batches(batches, CONTRACT).frames["StockReceived"]["quantity"].to_list()
    return found
