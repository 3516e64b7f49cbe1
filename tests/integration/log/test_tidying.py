"""Small batches put together: fewer rows, the same events at the same offsets and times."""

import threading
import uuid
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest

from tillroll.contract.registry import load_contract
from tillroll.log.port import Record, TopicPartition
from tillroll.log.postgres import TAIL_ROWS, PostgresLog
from tillroll.log.records import read_records
from tillroll.log.tidying import FEWEST, JOINED_BYTES, Run, runs_of_small

STOCK = TopicPartition("stock", 0)


@pytest.fixture
def log(postgres_url: str) -> PostgresLog:
    log = PostgresLog(postgres_url)
    log.create_topics(load_contract().topics.values())
    return log


def _append(log: PostgresLog, count: int, size: int = 50) -> None:
    for n in range(count):
        log.append(*STOCK, [Record(b"key", bytes([n % 256]) * size, str(uuid.uuid4()))])


def _everything(log: PostgresLog, offset: int = 0) -> pl.DataFrame:
    parts = []
    while batches := log.read(STOCK, offset):
        parts.append(read_records(batches).drop("_batch"))
        offset = batches[-1].next_offset
    return pl.concat(parts)


def test_events_keep_their_offsets_times_keys_and_bytes(log: PostgresLog) -> None:
    _append(log, 600)
    before = _everything(log)
    gone = log.tidy()
    assert gone >= 600 - TAIL_ROWS - 2
    assert _everything(log).equals(before)
    assert _everything(log, 77).equals(before[77:])
    _append(log, 3)
    assert len(_everything(log)) == 603


def test_the_offset_for_a_time_is_found_inside_a_joined_batch(log: PostgresLog) -> None:
    _append(log, 300)
    before = _everything(log)
    wanted = [(row["_recorded_at"], row["_offset"]) for row in before.iter_rows(named=True)]
    firsts = [wanted[0], *(b for a, b in pairwise(wanted) if b[0] != a[0])]
    log.tidy()
    for time, offset in firsts[:: max(1, len(firsts) // 20)]:
        assert log.offset_at(STOCK, time) == offset
    assert log.offset_at(STOCK, datetime(1999, 1, 1, tzinfo=UTC)) == 0


def test_two_that_tidy_at_once_lose_nothing(log: PostgresLog) -> None:
    _append(log, 400)
    before = _everything(log)
    threads = [threading.Thread(target=log.tidy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _everything(log).equals(before)


def test_a_run_ends_at_a_gap_at_another_partition_and_when_it_is_full() -> None:
    some = [(1, n, 1, 10) for n in range(FEWEST)]
    after_gap = [(1, FEWEST + 1 + n, 1, 10) for n in range(FEWEST)]
    elsewhere = [(2, 3 * FEWEST + n, 1, 10) for n in range(FEWEST - 1)]
    assert list(runs_of_small([*some, *after_gap, *elsewhere])) == [
        Run(1, 0, FEWEST - 1, FEWEST),
        Run(1, FEWEST + 1, 2 * FEWEST, FEWEST),
    ]
    large = [(1, n, 1, JOINED_BYTES // 10) for n in range(25)]
    assert [run.rows for run in runs_of_small(large)] == [10, 10]
