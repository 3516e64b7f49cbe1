"""An append that PostgreSQL breaks off, for a deadlock or a conflict of transactions, is done again."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tillroll.contract.registry import load_contract
from tillroll.database import Connection, Database
from tillroll.errors import LogUnavailable
from tillroll.log.port import Appended, Position, Record, TopicPartition
from tillroll.log.postgres import ATTEMPTS, PostgresLog

ID = str(uuid.uuid4())


class _Unlucky(PostgresLog):
    """Broken off for the first `times` times, after everything was sent."""

    def __init__(self, conninfo: str, error: type[psycopg.Error], times: int):
        super().__init__(conninfo)
        self.error, self.left, self.tried = error, times, 0

    def _append_once(
        self, fresh: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, int] | None:
        self.tried += 1
        if not self.left:
            return super()._append_once(fresh)
        self.left -= 1
        raise self.error("broken off\nDETAIL: more of it")


@pytest.fixture
def log(postgres_url: str) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres_url)
    log.create_topics(load_contract().topics.values())
    yield log
    log.close()


def _until_somebody_waits(outsider: Connection) -> None:
    waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    deadline = time.monotonic() + 10
    while outsider.execute(waits.encode()).fetchone() == (0,):
        assert time.monotonic() < deadline, "the append does not wait"
        time.sleep(0.01)


def test_a_deadlock_costs_an_append_nothing_but_time(log: PostgresLog, postgres_url: str) -> None:
    """Somebody else holds the event's id and wants the partition, which the append holds."""
    database = Database(postgres_url)
    with database.connect(autocommit=False) as outsider, ThreadPoolExecutor(1) as pool:
        outsider.execute("set local deadlock_timeout = '60s'")  # so that it is the append that is broken off
        outsider.execute("insert into tillroll_log.event_ids values (%s, 1, 0)", [ID])
        appending = pool.submit(log.append, "stock", 0, [Record(b"key", b"value", ID)])
        _until_somebody_waits(outsider)
        outsider.execute("update tillroll_log.partitions set last_time = last_time where topic = 'stock'")
        outsider.rollback()
        assert appending.result(20) == [Appended(Position("stock", 0, 0))]
    assert log.end_offset(TopicPartition("stock", 0)) == 1


@pytest.mark.parametrize("error", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
def test_it_is_done_again_a_few_times_and_no_more(
    log: PostgresLog, postgres_url: str, error: type[psycopg.Error]
) -> None:
    record = Record(b"key", b"value", str(uuid.uuid4()))
    lucky_at_last, unlucky = (_Unlucky(postgres_url, error, n) for n in (ATTEMPTS - 1, ATTEMPTS))
    with pytest.raises(LogUnavailable, match=r"^[^\n]*: broken off; [^\n]*$"):
        unlucky.append("stock", 0, [record])
    assert unlucky.tried == ATTEMPTS
    assert lucky_at_last.append("stock", 0, [record]) == [Appended(Position("stock", 0, 0))]
    assert log.append("stock", 0, [record])[0].duplicate
    for each in (unlucky, lucky_at_last):
        each.close()


def test_any_other_error_is_not_tried_again(log: PostgresLog, postgres_url: str) -> None:
    other = _Unlucky(postgres_url, psycopg.errors.NumericValueOutOfRange, 1)
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        other.append("stock", 0, [Record(b"key", b"value", str(uuid.uuid4()))])
    other.close()
