"""Small batches put together: fewer rows, the same events at the same offsets and times."""

import random
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest

from tillroll.contract.registry import load_contract
from tillroll.log.port import Record, TopicPartition
from tillroll.log.postgres import SMALL_BYTES, TAIL_ROWS, PostgresLog
from tillroll.log.records import read_records
from tillroll.log.tidying import FEWEST, JOINED_BYTES, Row, Run, runs_of_small, settled

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
    gone = sum(log.tidy())
    assert gone >= 600 - TAIL_ROWS - 2
    assert _everything(log).equals(before)
    assert _everything(log, 77).equals(before[77:])
    _append(log, 3)
    assert len(_everything(log)) == 603


@pytest.mark.parametrize("between", [0, SMALL_BYTES], ids=["single rows alone", "large ones in between"])
def test_bit_by_bit_it_comes_to_the_same(log: PostgresLog, noting: "_Noting", between: int) -> None:
    for _ in range(4):
        _append(log, 150)
        if between:
            for _ in range(20):  # nothing can be joined here, in more than one bit
                _append(log, 1)
                _append(log, 1, between)
    before = _everything(log)
    bits = list(noting.tidy(16))
    assert len(bits) > 30
    assert max(bits) < 16
    assert _everything(log).equals(before)
    assert sum(log.tidy()) == 0


def test_the_offset_for_a_time_is_found_inside_a_joined_batch(log: PostgresLog) -> None:
    _append(log, 300)
    before = _everything(log)
    wanted = [(row["_recorded_at"], row["_offset"]) for row in before.iter_rows(named=True)]
    firsts = [wanted[0], *(b for a, b in pairwise(wanted) if b[0] != a[0])]
    sum(log.tidy())
    for time, offset in firsts[:: max(1, len(firsts) // 20)]:
        assert log.offset_at(STOCK, time) == offset
    assert log.offset_at(STOCK, datetime(1999, 1, 1, tzinfo=UTC)) == 0


def test_two_that_tidy_at_once_lose_nothing(log: PostgresLog) -> None:
    _append(log, 400)
    before = _everything(log)
    threads = [threading.Thread(target=lambda: sum(log.tidy())) for _ in range(4)]
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


class _Noting(PostgresLog):
    """Notes how many rows it looked at."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self.looked = 0

    def _small_rows(self, id_: int, start: int, tail: int, most: int) -> list[Row]:
        rows = super()._small_rows(id_, start, tail, most)
        self.looked += len(rows)
        return rows


@pytest.fixture
def noting(log: PostgresLog, postgres_url: str) -> Iterator[_Noting]:
    noting = _Noting(postgres_url)
    yield noting
    noting.close()


def test_who_looks_on_where_the_last_time_ended_leaves_nothing_for_who_looks_at_everything(
    log: PostgresLog, noting: _Noting, postgres_url: str
) -> None:
    chance, gone = random.Random("tidy"), []
    _append(log, TAIL_ROWS)
    for _ in range(40):
        _append(log, chance.choice([0, 2, 3, 5, 60]))
        _append(log, chance.choice([0, 0, 0, 1]), SMALL_BYTES)
        before = _everything(log)
        gone.append(sum(noting.tidy()))
        assert _everything(log).equals(before)
        fresh = PostgresLog(postgres_url)
        assert sum(fresh.tidy()) == 0
        fresh.close()
    assert sum(map(bool, gone)) > 10


def test_what_is_settled_is_not_looked_at_again(log: PostgresLog, noting: _Noting) -> None:
    """Small rows that nothing can join, and what stands behind them."""
    for _ in range(20):
        _append(log, FEWEST - 1)
        _append(log, 1, SMALL_BYTES)
    _append(log, TAIL_ROWS)
    assert sum(noting.tidy()) == 0
    assert noting.looked == 20 * (FEWEST - 1)
    noting.looked = 0
    assert sum(noting.tidy()) == 0
    _append(log, 5)
    sum(noting.tidy())
    assert noting.looked == 5
    _append(log, FEWEST)
    assert sum(noting.tidy()) == 5 + FEWEST - 1


def test_only_a_run_that_reaches_the_end_can_grow() -> None:
    run = [(1, n, 1, 10) for n in range(5, 9)]
    assert settled([], 20, False) == 20
    assert settled(run, 9, False) == 5
    assert settled(run, 10, False) == 10
    assert settled(run, 10, True) == 5
    assert settled([(1, 0, 2, 10), *run], 9, False) == 5


def test_what_somebody_else_had_in_hand_is_looked_at_again(noting: _Noting, log: PostgresLog) -> None:
    """Another one joined a part of the run between the look and the joining."""
    _append(log, 3 * FEWEST + TAIL_ROWS)

    class Late(_Noting):
        def _put_together(self, run: Run) -> int:
            return super()._put_together(run._replace(rows=run.rows + 1))

    late = Late(noting._database.conninfo)
    assert sum(late.tidy()) == 0
    late.looked = 0
    assert sum(late.tidy()) == 0
    assert late.looked == 3 * FEWEST
    late.close()
