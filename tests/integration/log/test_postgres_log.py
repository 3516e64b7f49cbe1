"""The log in PostgreSQL keeps the contract of every log."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from tillroll.database import Database
from tillroll.errors import LogUnavailable, MalformedEvent, PositionOutOfRange, TopicMissing
from tillroll.log import group
from tillroll.log.port import Appended, Batch, EventLog, TopicPartition
from tillroll.log.postgres import LEAST_TO_COMPRESS, ROWS_AT_HAND, PostgresLog
from tillroll.log.records import read_records
from tillroll.testing.log_contract import LogContract, Member, record, topic_spec, until

MEMBER = """
import sys
from tillroll.log import group
from tillroll.log.postgres import PostgresLog
from tillroll.testing.log_contract import Member
group.REFRESH_SECONDS = 0.05
member = Member(PostgresLog(sys.argv[1]), [sys.argv[2]], sys.argv[3])
while True:
    member.poll()
"""


OLDER_APPEND = """
    create or replace function tillroll_log.append(
        p_topic text, p_partition integer, p_ids uuid[], p_raw_bytes integer, p_body bytea
    ) returns bigint language plpgsql as $$
    begin
        raise exception using errcode = 'TR409', message = 'event_id already in the log';
    end $$"""


@pytest.fixture(autouse=True)
def _quick_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.05)


class TestPostgresLog(LogContract):
    @pytest.fixture
    def log(self, postgres_url: str) -> Iterator[EventLog]:
        log = PostgresLog(postgres_url)
        yield log
        log.close()

    def test_an_id_in_another_spelling_is_refused_rather_than_waited_for(
        self, log: EventLog, topic: str
    ) -> None:
        spelt = "0190FFFF-0000-7000-8000-00000000000A"
        log.append(topic, 0, [record("one", event_id=spelt)])
        with pytest.raises(MalformedEvent, match="canonical"):
            log.append(topic, 0, [record("one", event_id=spelt)])

    def test_a_member_whose_process_is_gone_gives_up_its_share(
        self, log: EventLog, postgres_url: str
    ) -> None:
        topic = self.new_topic(log, 4)
        one = Member(log, [topic], "lost")
        command = [sys.executable, "-c", MEMBER, postgres_url, topic, "lost"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            until(lambda: len(one.assignment) == 2, [one], "half of the partitions")
            other.kill()
        until(lambda: len(one.assignment) == 4, [one], "all partitions")
        one.subscription.close()

    def test_a_member_that_loses_its_connection_joins_again(self, log: EventLog, postgres_url: str) -> None:
        topic = self.new_topic(log, 2)
        member = Member(log, [topic], "group")
        until(lambda: len(member.assignment) == 2, [member], "both partitions")
        _cut_connections(postgres_url)
        with pytest.raises(LogUnavailable):
            until(lambda: False, [member], "an error")
        with suppress(LogUnavailable):  # a pooled connection may be one of those that were cut
            log.append(topic, 0, [record("lost")])
        log.append(topic, 0, [record("afterwards")])
        until(lambda: bool(member.rows), [member], "what was appended afterwards")
        member.subscription.close()

    def test_a_log_of_before_that_has_its_own_code_for_duplicates_finds_them(
        self, log: EventLog, topic: str, postgres_url: str
    ) -> None:
        one = record("one")
        (first,) = log.append(topic, 0, [one])
        with Database(postgres_url).connection() as connection:
            connection.execute(OLDER_APPEND)
        assert log.append(topic, 0, [one]) == [Appended(first.position, duplicate=True)]

    def test_two_processes_make_the_tables_at_once(self, postgres_url: str) -> None:
        logs = [PostgresLog(postgres_url) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            identities = set(pool.map(lambda log: log.identity, logs))
        for log in logs:
            log.close()
        assert len(identities) == 1


def _cut_connections(url: str) -> None:
    connection = Database(url).connect()
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    connection.close()


class TestWhatIsAtHand:
    """Few small batches come with the answer whether there is anything; the rest is read."""

    TOPIC = "t"

    @pytest.fixture
    def log(self, postgres_url: str) -> Iterator[PostgresLog]:
        log = PostgresLog(postgres_url)
        log.create_topics([topic_spec(self.TOPIC, 3)])
        yield log
        log.close()

    @pytest.fixture
    def read(self, log: PostgresLog, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The partitions that were read."""
        found: list[int] = []
        plain = log.read

        def noting(origin: TopicPartition, *given: int) -> Sequence[Batch]:
            found.append(origin.partition)
            return plain(origin, *given)

        monkeypatch.setattr(log, "read", noting)
        return found

    def append(self, log: PostgresLog, partition: int, rows: int, size: int = 10) -> None:
        for n in range(rows):
            log.append(self.TOPIC, partition, [record(bytes([n]) * size)])

    def polled(self, log: PostgresLog, **positions: int) -> list[tuple[int, int]]:
        """(partition, offset) of every record that a poll brings, from these positions on."""
        starts = {TopicPartition(self.TOPIC, n): positions.get(f"p{n}", 0) for n in range(3)}
        with closing(log.subscribe([self.TOPIC], "g", lambda won: starts, lambda lost: None)) as member:
            batches = member.poll(0)
        rows = read_records(batches).select("_batch", "_offset").rows()
        return sorted((batches[batch].partition, offset) for batch, offset in rows)

    def test_few_rows(self, log: PostgresLog, read: list[int]) -> None:
        self.append(log, 0, 3)
        self.append(log, 2, ROWS_AT_HAND)
        assert self.polled(log, p0=1) == [(0, 1), (0, 2), *((2, n) for n in range(ROWS_AT_HAND))]
        assert read == []

    def test_many_rows(self, log: PostgresLog, read: list[int]) -> None:
        self.append(log, 1, ROWS_AT_HAND + 1)
        assert self.polled(log) == [(1, n) for n in range(ROWS_AT_HAND + 1)]
        assert read == [1]

    def test_a_large_one_among_them(self, log: PostgresLog, read: list[int]) -> None:
        self.append(log, 1, 2)
        self.append(log, 1, 1, LEAST_TO_COMPRESS)
        assert self.polled(log) == [(1, 0), (1, 1), (1, 2)]
        assert read == [1]

    def test_a_position_within_a_batch(self, log: PostgresLog, read: list[int]) -> None:
        log.append(self.TOPIC, 0, [record("one"), record("two")])
        self.append(log, 0, 1)
        assert self.polled(log, p0=1) == [(0, 1), (0, 2)]
        assert read == [0]

    def test_a_position_that_the_log_does_not_hold(self, log: PostgresLog) -> None:
        self.append(log, 0, 1)
        with pytest.raises(PositionOutOfRange):
            self.polled(log, p0=2)

    def test_a_partition_that_is_gone(self, log: PostgresLog, postgres_url: str) -> None:
        with closing(
            log.subscribe([self.TOPIC], "g", lambda won: dict.fromkeys(won, 0), lambda lost: None)
        ) as member:
            member.poll(0)
            with closing(Database(postgres_url)) as database, database.connection() as connection:
                connection.execute(
                    "delete from tillroll_log.partitions where topic = %s and partition = 1", [self.TOPIC]
                )
            with pytest.raises(TopicMissing):
                member.poll(0)
