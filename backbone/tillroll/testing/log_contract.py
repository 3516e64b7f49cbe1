"""What every EventLog promises, as tests: subclass LogContract and give it a fixture `log`.

    class TestMyLog(LogContract):
        @pytest.fixture
        def log(self) -> Iterator[EventLog]:
            ...

Every test makes topics of its own, so that one broker or server can serve them all.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tillroll.contract.registry import TopicSpec
from tillroll.errors import PositionOutOfRange, TopicMissing
from tillroll.log.port import (
    Appended,
    Batch,
    EventLog,
    Position,
    Positions,
    Record,
    Subscription,
    TopicPartition,
)
from tillroll.log.records import read_records

__all__ = ["LogContract", "Member", "read_all", "record", "topic_spec"]

PATIENCE = 60.0  # seconds until a group that does not settle counts as stuck
A_FEW = 300

Row = tuple[int, bytes | None, bytes | None]


def topic_spec(name: str, partitions: int) -> TopicSpec:
    """A topic of the test's own."""
    return TopicSpec(name=name, partitions=partitions, key=(("order_id",),), retention_ms=-1)


def record(value: bytes | str = b"", key: bytes = b"key", event_id: str | None = None) -> Record:
    """A record with a fresh event_id; its value is `value` behind a schema prefix."""
    payload = value if isinstance(value, bytes) else value.encode()
    return Record(key, b"\x00\x00\x00\x00\x01" + payload, event_id or str(uuid.uuid4()))


def numbered(size: int) -> list[Record]:
    """`size` records, each with a value of its own."""
    return [record(f"value {n}") for n in range(size)]


def rows_of(batches: Sequence[Batch]) -> list[Row]:
    """(offset, key, value) of every meant record."""
    return read_records(batches).select("_offset", "key", "value").rows()


def read_all(log: EventLog, origin: TopicPartition, offset: int = 0, max_bytes: int = 1_000_000) -> list[Row]:
    """(offset, key, value) of everything from `offset` to the end."""
    rows: list[Row] = []
    while batches := log.read(origin, offset, max_bytes):
        rows += rows_of(batches)
        offset = batches[-1].next_offset
    return rows


class Member:
    """A member of a group that keeps what it reads; starts where `positions` says, 0 unless told."""

    def __init__(self, log: EventLog, topics: Sequence[str], group: str, positions: Positions | None = None):
        self.rows: list[tuple[TopicPartition, Row]] = []
        self.revoked: set[TopicPartition] = set()
        self.starts: dict[TopicPartition, int] = dict(positions or {})
        self.subscription: Subscription = log.subscribe(topics, group, self._assigned, self._revoked)

    def _assigned(self, origins: frozenset[TopicPartition]) -> Positions:
        return {origin: self.starts.get(origin, 0) for origin in origins}

    def _revoked(self, origins: frozenset[TopicPartition]) -> None:
        self.revoked |= origins

    def poll(self, timeout: float = 0.2) -> int:
        """Read once; how many records came."""
        batches = self.subscription.poll(timeout)
        for batch in batches:
            got = rows_of([batch])
            self.rows += [(batch.origin, row) for row in got]
            self.starts[batch.origin] = batch.next_offset
        return sum(batch.count for batch in batches)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """What this member holds."""
        return self.subscription.assignment()

    def values(self) -> list[bytes | None]:
        """The values read, in the order in which they came."""
        return [row[2] for _, row in self.rows]


def until(condition: Callable[[], bool], members: Iterable[Member], what: str) -> None:
    """Poll the members in turn until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    members = list(members)
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE:.0f} s still not: {what}"
        for member in members:
            member.poll()


class LogContract:
    """The contract; see the module."""

    names = count()

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        """The log under test. To be overridden."""
        raise NotImplementedError("give the subclass a fixture `log`")

    @pytest.fixture
    def topic(self, log: EventLog) -> str:
        """A topic of two partitions."""
        return self.new_topic(log, 2)

    def new_topic(self, log: EventLog, partitions: int) -> str:
        """Make a topic that no other test uses."""
        name = f"contract-{next(self.names)}-{uuid.uuid4().hex[:8]}"
        log.create_topics([topic_spec(name, partitions)])
        return name

    @contextmanager
    def members(self, log: EventLog, topic: str, size: int) -> Iterator[list[Member]]:
        """`size` members of one group, closed in the end."""
        group = f"group-{uuid.uuid4().hex[:8]}"
        joined: list[Member] = []
        try:
            for _ in range(size):
                joined.append(Member(log, [topic], group))  # noqa: PERF401 - close those that did join
            yield joined
        finally:
            for member in joined:
                member.subscription.close()

    # --- topics -------------------------------------------------------------------------------------

    def test_has_an_identity_that_stays(self, log: EventLog) -> None:
        assert log.identity == log.identity
        assert ":" in log.identity

    def test_makes_topics_with_their_partitions(self, log: EventLog, topic: str) -> None:
        assert log.partitions(topic) == 2

    def test_leaves_topics_that_are_there_as_they_are(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, [record("kept")])
        log.create_topics([topic_spec(topic, 4)])
        assert log.partitions(topic) == 2
        assert log.end_offset(TopicPartition(topic, 0)) == 1

    def test_a_topic_that_is_missing_is_named(self, log: EventLog) -> None:
        for attempt in (
            lambda: log.partitions("no-such-topic"),
            lambda: log.append("no-such-topic", 0, [record()]),
            lambda: log.read(TopicPartition("no-such-topic", 0), 0),
            lambda: log.end_offset(TopicPartition("no-such-topic", 0)),
            lambda: log.start_offset(TopicPartition("no-such-topic", 0)),
            lambda: log.end_offsets([TopicPartition("no-such-topic", 0)]),
            lambda: log.start_offsets([TopicPartition("no-such-topic", 0)]),
        ):
            with pytest.raises(TopicMissing, match="no-such-topic"):
                attempt()

    def test_a_partition_that_is_missing_is_refused(self, log: EventLog, topic: str) -> None:
        with pytest.raises(TopicMissing, match=topic):
            log.append(topic, 7, [record()])
        with pytest.raises(TopicMissing, match=topic):
            log.read(TopicPartition(topic, 7), 0)

    # --- appending and reading ----------------------------------------------------------------------

    def test_offsets_are_gapless_and_in_order(self, log: EventLog, topic: str) -> None:
        answers = [answer for size in (3, 1, 5) for answer in log.append(topic, 1, numbered(size))]
        assert answers == [Appended(Position(topic, 1, offset)) for offset in range(9)]

    def test_reads_back_what_was_appended(self, log: EventLog, topic: str) -> None:
        records = [record(f"value {n}", f"key {n % 7}".encode()) for n in range(A_FEW)]
        log.append(topic, 0, records[:100])
        log.append(topic, 0, records[100:])
        wanted = [(offset, r.key, r.value) for offset, r in enumerate(records)]
        assert read_all(log, TopicPartition(topic, 0)) == wanted
        assert read_all(log, TopicPartition(topic, 1)) == []

    def test_reads_on_from_any_offset_also_inside_a_batch(self, log: EventLog, topic: str) -> None:
        for size in (1, 10, 4):
            log.append(topic, 0, numbered(size))
        origin = TopicPartition(topic, 0)
        for offset in range(16):
            assert [row[0] for row in read_all(log, origin, offset)] == list(range(offset, 15))

    def test_reads_in_pieces_when_little_is_asked_for(self, log: EventLog, topic: str) -> None:
        for _ in range(20):
            log.append(topic, 0, numbered(10))
        origin = TopicPartition(topic, 0)
        assert sum(batch.count for batch in log.read(origin, 0, 1)) < 200
        assert [row[0] for row in read_all(log, origin, max_bytes=1)] == list(range(200))

    def test_batches_follow_one_another(self, log: EventLog, topic: str) -> None:
        for _ in range(5):
            log.append(topic, 0, numbered(3))
        at = 0
        for batch in log.read(TopicPartition(topic, 0), 0):
            assert batch.origin == TopicPartition(topic, 0)
            assert batch.base_offset == at
            assert batch.next_offset == batch.base_offset + batch.count
            at = batch.next_offset
        assert at == 15

    @pytest.mark.parametrize("size", [20, 600])
    def test_several_threads_append_at_once(self, log: EventLog, size: int) -> None:
        """Two on each of two partitions."""
        topic = self.new_topic(log, 2)
        given = [(TopicPartition(topic, n % 2), [numbered(size) for _ in range(3)]) for n in range(4)]

        def append(at: int) -> list[Appended]:
            origin, parts = given[at]
            return [answer for part in parts for answer in log.append(*origin, part)]

        with ThreadPoolExecutor(len(given)) as pool:
            answers = list(pool.map(append, range(len(given))))
        wanted: dict[TopicPartition, dict[int, bytes | None]] = {}
        for (origin, parts), told in zip(given, answers, strict=True):
            records = [record for part in parts for record in part]
            places = wanted.setdefault(origin, {})
            places |= {a.position.offset: r.value for a, r in zip(told, records, strict=True)}
        for origin, places in wanted.items():
            assert places == {row[0]: row[2] for row in read_all(log, origin)}
            assert len(places) == 6 * size

    def test_of_equal_ids_that_threads_append_at_once_one_is_new(self, log: EventLog) -> None:
        topic, records = self.new_topic(log, 4), numbered(500)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: log.append(topic, n, records), range(4)))
        wanted = [False, True, True, True] if self.settling(log) else [False] * 4
        assert all(
            sorted(each.duplicate for each in of_one) == wanted for of_one in zip(*answers, strict=True)
        )

    def test_ends_are_those_of_the_partition(self, log: EventLog, topic: str) -> None:
        origins = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
        log.append(topic, 1, numbered(4))
        assert [log.start_offset(origin) for origin in origins] == [0, 0]
        assert [log.end_offset(origin) for origin in origins] == [0, 4]

    def test_ends_of_several_partitions_come_at_once(self, log: EventLog, topic: str) -> None:
        here, other = TopicPartition(topic, 1), TopicPartition(self.new_topic(log, 3), 2)
        log.append(*here, numbered(4))
        assert log.end_offsets([here, other]) == {here: 4, other: 0}
        assert log.start_offsets(iter([here, other])) == {here: 0, other: 0}
        assert log.end_offsets([]) == log.start_offsets([]) == {}
        with pytest.raises(TopicMissing):
            log.end_offsets([here, TopicPartition(topic, 7)])

    def test_nothing_appended_is_nothing_written(self, log: EventLog, topic: str) -> None:
        assert log.append(topic, 0, []) == []
        assert log.end_offset(TopicPartition(topic, 0)) == 0
        assert log.read(TopicPartition(topic, 0), 0) == []

    def test_at_the_end_there_is_nothing_to_read(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(3))
        assert log.read(TopicPartition(topic, 0), 3) == []

    @pytest.mark.parametrize("offset", [-1, 4, 1_000_000])
    def test_an_offset_that_the_log_does_not_hold_is_refused(
        self, log: EventLog, topic: str, offset: int
    ) -> None:
        log.append(topic, 0, numbered(3))
        with pytest.raises(PositionOutOfRange, match=topic):
            log.read(TopicPartition(topic, 0), offset)

    @pytest.mark.parametrize(
        "key", [b"", b"\x00", b"a\x00b", b"\xff\xfe", "größe 🥿".encode(), b"k" * 5_000, b'"\n\\,']
    )
    def test_keys_and_values_are_bytes_of_any_kind(self, log: EventLog, topic: str, key: bytes) -> None:
        log.append(topic, 0, [record(key, key), record(key * 3, key)])
        rows = read_all(log, TopicPartition(topic, 0))
        assert [row[1] for row in rows] == [key, key]
        assert [row[2] for row in rows] == [record(key).value, record(key * 3).value]

    def test_takes_big_batches(self, log: EventLog, topic: str) -> None:
        records = numbered(50_000)
        answers = log.append(topic, 0, records)
        assert [answer.position.offset for answer in answers] == list(range(50_000))
        rows = read_all(log, TopicPartition(topic, 0))
        assert [row[2] for row in rows] == [r.value for r in records]

    def test_takes_big_values(self, log: EventLog, topic: str) -> None:
        value = uuid.uuid4().bytes * 30_000
        log.append(topic, 0, [record(value), record("small")])
        assert [row[2] for row in read_all(log, TopicPartition(topic, 0))] == [
            record(value).value,
            record("small").value,
        ]

    def test_several_writers_at_once_lose_and_mix_nothing(self, log: EventLog, topic: str) -> None:
        batches = [[record(f"{writer} {n} {k}") for k in range(7)] for writer in range(6) for n in range(10)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda records: log.append(topic, 0, records), batches))
        held = {row[0]: row[2] for row in read_all(log, TopicPartition(topic, 0))}
        assert sorted(held) == list(range(420))
        for records, given in zip(batches, answers, strict=True):
            assert [held[answer.position.offset] for answer in given] == [r.value for r in records]

    # --- several partitions at once -------------------------------------------------------------------

    def test_several_partitions_are_appended_to_at_once(self, log: EventLog, topic: str) -> None:
        other = self.new_topic(log, 3)
        log.append(topic, 1, numbered(2))
        appends = {
            TopicPartition(topic, 1): numbered(3),
            TopicPartition(other, 2): numbered(500),
            TopicPartition(topic, 0): numbered(1),
            TopicPartition(other, 0): [],
        }
        starts = {TopicPartition(topic, 1): 2}
        answers = log.append_all(appends)
        assert answers == {
            origin: [Appended(Position(*origin, starts.get(origin, 0) + n)) for n in range(len(records))]
            for origin, records in appends.items()
        }
        for origin, records in appends.items():
            held = [row[2] for row in read_all(log, origin, starts.get(origin, 0))]
            assert held == [r.value for r in records]

    def test_no_partition_gets_anything_when_one_is_not_there(self, log: EventLog, topic: str) -> None:
        there, missing = TopicPartition(topic, 0), TopicPartition(topic, 7)
        with pytest.raises(TopicMissing, match=f"{topic}.*7|7.*{topic}"):
            log.append_all({there: numbered(2), missing: numbered(1)})
        assert log.end_offset(there) == 0

    def test_writers_to_the_same_partitions_do_not_stop_each_other(self, log: EventLog, topic: str) -> None:
        origins = [TopicPartition(topic, n) for n in (0, 1)]
        with ThreadPoolExecutor(6) as pool:
            given = [{origin: numbered(3) for origin in (origins, origins[::-1])[n % 2]} for n in range(60)]
            answers = list(pool.map(log.append_all, given))
        for origin in origins:
            held = {row[0]: row[2] for row in read_all(log, origin)}
            assert sorted(held) == list(range(180))
            for appends, got in zip(given, answers, strict=True):
                assert [held[a.position.offset] for a in got[origin]] == [r.value for r in appends[origin]]

    # --- time ---------------------------------------------------------------------------------------

    def test_records_carry_the_time_of_their_append(self, log: EventLog, topic: str) -> None:
        before = datetime.now(UTC) - timedelta(seconds=2)
        log.append(topic, 0, numbered(3))
        times = read_records(log.read(TopicPartition(topic, 0), 0))["_recorded_at"]
        assert all(before <= at <= datetime.now(UTC) + timedelta(seconds=2) for at in times)

    def test_finds_the_first_offset_recorded_at_or_after_a_time(self, log: EventLog, topic: str) -> None:
        origin = TopicPartition(topic, 0)
        log.append(topic, 0, numbered(3))
        time.sleep(0.05)
        log.append(topic, 0, numbered(2))
        later = read_records(log.read(origin, 3))["_recorded_at"][0]
        assert log.offset_at(origin, later) == 3
        assert log.offset_at(origin, later - timedelta(milliseconds=20)) == 3
        assert log.offset_at(origin, datetime(2001, 1, 1, tzinfo=UTC)) == 0
        assert log.offset_at(origin, later + timedelta(hours=1)) == 5

    # --- duplicates, where append settles them --------------------------------------------------------

    def settling(self, log: EventLog) -> bool:
        """Whether `log` settles duplicates; where it does not, appending twice is there twice."""
        return log.settles_duplicates

    def test_the_same_event_twice(self, log: EventLog, topic: str) -> None:
        one, two, three = numbered(3)
        log.append(topic, 0, [one, two])
        answers = log.append(topic, 0, [two, three, one])
        rows = read_all(log, TopicPartition(topic, 0))
        if not self.settling(log):
            assert [row[2] for row in rows] == [r.value for r in (one, two, two, three, one)]
            return
        assert answers == [
            Appended(Position(topic, 0, 1), duplicate=True),
            Appended(Position(topic, 0, 2)),
            Appended(Position(topic, 0, 0), duplicate=True),
        ]
        assert [row[2] for row in rows] == [r.value for r in (one, two, three)]

    def test_the_same_event_twice_in_one_append(self, log: EventLog, topic: str) -> None:
        one, two = numbered(2)
        answers = log.append(topic, 0, [one, one, two, one])
        rows = read_all(log, TopicPartition(topic, 0))
        if not self.settling(log):
            assert len(rows) == 4
            return
        assert [answer.duplicate for answer in answers] == [False, True, False, True]
        assert [answer.position.offset for answer in answers] == [0, 0, 1, 0]
        assert [row[2] for row in rows] == [one.value, two.value]

    def test_the_same_event_on_another_partition(self, log: EventLog, topic: str) -> None:
        one = record("one")
        log.append(topic, 1, [one])
        answers = log.append(topic, 0, [one])
        if not self.settling(log):
            assert len(read_all(log, TopicPartition(topic, 0))) == 1
            return
        assert answers == [Appended(Position(topic, 1, 0), duplicate=True)]
        assert read_all(log, TopicPartition(topic, 0)) == []

    def test_other_bytes_under_a_used_id_are_a_conflict(self, log: EventLog, topic: str) -> None:
        one = record("one")
        other = record("other", event_id=one.event_id)
        log.append(topic, 0, [one])
        answers = log.append(topic, 0, [record("new"), other, one])
        if not self.settling(log):
            assert len(read_all(log, TopicPartition(topic, 0))) == 4
            return
        assert [answer.conflict for answer in answers] == [False, True, False]
        assert [answer.duplicate for answer in answers] == [False, False, True]
        assert answers[1].position == Position(topic, 0, 0)
        assert [row[2] for row in read_all(log, TopicPartition(topic, 0))] == [one.value, record("new").value]

    def test_an_event_in_several_partitions_of_one_append(self, log: EventLog, topic: str) -> None:
        if not self.settling(log):
            return
        one, two, three = record("one"), record("two"), record("three")
        low, high = TopicPartition(topic, 0), TopicPartition(topic, 1)
        log.append(topic, 1, [one])
        other = record("other", event_id=two.event_id)
        answers = log.append_all({high: [two, three, one], low: [other, one, three]})
        assert answers == {
            low: [
                Appended(Position(topic, 0, 0)),
                Appended(Position(topic, 1, 0), duplicate=True),
                Appended(Position(topic, 0, 1)),
            ],
            high: [
                Appended(Position(topic, 0, 0), conflict=True),
                Appended(Position(topic, 0, 1), duplicate=True),
                Appended(Position(topic, 1, 0), duplicate=True),
            ],
        }
        assert log.end_offset(low) == 2
        assert log.end_offset(high) == 1

    def test_other_bytes_under_one_id_in_one_append_are_a_conflict(self, log: EventLog, topic: str) -> None:
        one = record("one")
        other = record("other", event_id=one.event_id)
        answers = log.append(topic, 0, [one, other, one, other])
        rows = read_all(log, TopicPartition(topic, 0))
        if not self.settling(log):
            assert len(rows) == 4
            return
        assert [answer.conflict for answer in answers] == [False, True, False, True]
        assert [answer.duplicate for answer in answers] == [False, False, True, False]
        assert [row[2] for row in rows] == [one.value]

    def test_writers_that_send_the_same_events_agree_on_one(self, log: EventLog, topic: str) -> None:
        records = numbered(50)
        turned = [records[n:] + records[:n] for n in (0, 10, 25, 40)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda mine: log.append(topic, 0, mine), turned))
        rows = read_all(log, TopicPartition(topic, 0))
        if not self.settling(log):
            assert len(rows) == 200
            return
        places = {row[2]: row[0] for row in rows}
        assert len(rows) == 50
        for mine, given in zip(turned, answers, strict=True):
            assert [answer.position.offset for answer in given] == [places[r.value] for r in mine]
        assert sum(not answer.duplicate for given in answers for answer in given) == 50

    # --- groups -------------------------------------------------------------------------------------

    def test_one_member_reads_every_partition_in_order(self, log: EventLog, topic: str) -> None:
        first, second = numbered(30), numbered(20)
        log.append(topic, 0, first)
        log.append(topic, 1, second)
        with self.members(log, topic, 1) as (member,):
            until(lambda: len(member.rows) >= 50, [member], "50 records")
            assert member.assignment == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
            by_partition = _by_partition(member.rows)
        assert [value for _, value in by_partition[0]] == [r.value for r in first]
        assert [value for _, value in by_partition[1]] == [r.value for r in second]

    def test_reads_on_as_the_log_grows(self, log: EventLog, topic: str) -> None:
        with self.members(log, topic, 1) as (member,):
            until(lambda: bool(member.assignment), [member], "an assignment")
            for n in range(5):
                log.append(topic, n % 2, [record(f"tail {n}")])
                until(lambda n=n: len(member.rows) > n, [member], f"record {n}")  # type: ignore[misc]
        assert member.values() == [record(f"tail {n}").value for n in range(5)]

    def test_starts_where_the_assignment_says(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(10))
        starts = {TopicPartition(topic, 0): 7}
        member = Member(log, [topic], f"group-{uuid.uuid4().hex[:8]}", starts)
        try:
            until(lambda: len(member.rows) >= 3, [member], "the last three")
        finally:
            member.subscription.close()
        assert [row[0] for _, row in member.rows] == [7, 8, 9]

    def test_waits_no_longer_than_asked(self, log: EventLog, topic: str) -> None:
        with self.members(log, topic, 1) as (member,):
            until(lambda: bool(member.assignment), [member], "an assignment")
            started = time.monotonic()
            assert member.poll(0.3) == 0
            assert time.monotonic() - started < 2

    def test_two_members_share_and_nothing_is_lost(self, log: EventLog) -> None:
        topic = self.new_topic(log, 4)
        with self.members(log, topic, 2) as (one, two):
            until(lambda: _settled([one, two], 4), [one, two], "two partitions each")
            sent = [record(f"{n}") for n in range(200)]
            for n, r in enumerate(sent):
                log.append(topic, n % 4, [r])
            until(lambda: len(one.rows) + len(two.rows) >= 200, [one, two], "200 records")
            assert sorted(v for v in one.values() + two.values() if v) == sorted(r.value for r in sent)
            assert one.rows
            assert two.rows

    def test_two_members_share_each_topic(self, log: EventLog) -> None:
        """One topic may be busy and the other quiet."""
        topics = [self.new_topic(log, 2) for _ in range(2)]
        members = [Member(log, topics, f"of {topics[0]}") for _ in range(2)]
        try:
            until(lambda: _settled(members, 4), members, "two partitions each")
            assert [sorted(origin.topic for origin in each.assignment) for each in members] == [
                sorted(topics)
            ] * 2
        finally:
            for member in members:
                member.subscription.close()

    def test_a_member_that_closes_hands_over(self, log: EventLog) -> None:
        topic = self.new_topic(log, 4)
        with self.members(log, topic, 2) as (one, two):
            until(lambda: _settled([one, two], 4), [one, two], "two partitions each")
            held = one.assignment
            one.subscription.close()
            assert held <= one.revoked
            until(lambda: len(two.assignment) == 4, [two], "all partitions with the one that stayed")
            log.append(topic, sorted(held)[0].partition, [record("after")])
            until(lambda: record("after").value in two.values(), [two], "what was appended afterwards")

    def test_a_member_that_joins_takes_its_share(self, log: EventLog) -> None:
        topic = self.new_topic(log, 4)
        group = f"group-{uuid.uuid4().hex[:8]}"
        one = Member(log, [topic], group)
        until(lambda: len(one.assignment) == 4, [one], "all partitions")
        two = Member(log, [topic], group)
        try:
            until(lambda: _settled([one, two], 4), [one, two], "two partitions each")
            assert two.assignment <= one.revoked
        finally:
            one.subscription.close()
            two.subscription.close()

    def test_groups_do_not_share_with_one_another(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(5))
        with self.members(log, topic, 1) as (one,), self.members(log, topic, 1) as (other,):
            until(lambda: len(one.rows) >= 5 and len(other.rows) >= 5, [one, other], "all to both")
            assert one.values() == other.values()

    def test_members_in_threads_of_their_own_read_everything_once_positions_are_shared(
        self, log: EventLog
    ) -> None:
        """What a fencing reader keeps: per partition the offsets in order, no gap, whoever read them."""
        topic = self.new_topic(log, 4)
        kept = _FencedRows()
        stop = threading.Event()
        group = f"group-{uuid.uuid4().hex[:8]}"
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(kept.read, log, topic, group, stop) for _ in range(2)]
            try:
                for n in range(60):
                    log.append(topic, n % 4, numbered(5))
                    if n == 20:
                        readers.append(pool.submit(kept.read, log, topic, group, stop))
                kept.wait_for(300)
            finally:
                stop.set()
            for reader in readers:
                reader.result(PATIENCE)
        assert {origin.partition: len(rows) for origin, rows in kept.rows.items()} == dict.fromkeys(
            range(4), 75
        )
        for rows in kept.rows.values():
            assert [row[0] for row in rows] == list(range(75))

    # --- steering -----------------------------------------------------------------------------------

    def test_seek_reads_again(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(6))
        with self.members(log, topic, 1) as (member,):
            until(lambda: len(member.rows) >= 6, [member], "six records")
            member.subscription.seek(TopicPartition(topic, 0), 4)
            until(lambda: len(member.rows) >= 8, [member], "the last two again")
            assert [row[0] for _, row in member.rows] == [0, 1, 2, 3, 4, 5, 4, 5]

    def test_seek_beyond_what_was_read_skips(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(3))
        with self.members(log, topic, 1) as (member,):
            until(lambda: len(member.rows) >= 3, [member], "three records")
            log.append(topic, 0, numbered(5))
            member.subscription.seek(TopicPartition(topic, 0), 6)
            until(lambda: len(member.rows) >= 5, [member], "the last two")
            assert [row[0] for _, row in member.rows] == [0, 1, 2, 6, 7]

    def test_a_paused_partition_rests_and_goes_on_where_it_stood(self, log: EventLog, topic: str) -> None:
        resting, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
        log.append(topic, 0, numbered(2))
        with self.members(log, topic, 1) as (member,):
            until(lambda: len(member.rows) >= 2, [member], "two records")
            member.subscription.pause([resting])
            for _ in range(3):
                log.append(topic, 0, numbered(2))
                log.append(topic, 1, numbered(2))
            until(lambda: len(member.rows) >= 8, [member], "those of the other partition")
            assert [member.poll() for _ in range(3)] == [0, 0, 0]
            assert resting in member.assignment
            assert [origin for origin, _ in member.rows].count(other) == 6
            member.subscription.resume([resting])
            until(lambda: len(member.rows) >= 14, [member], "those of the resumed partition")
            assert [row[0] for origin, row in member.rows if origin == resting] == list(range(8))

    def test_pausing_again_and_again_never_stalls(self, log: EventLog, topic: str) -> None:
        origin = TopicPartition(topic, 0)
        with self.members(log, topic, 1) as (member,):
            until(lambda: bool(member.assignment), [member], "an assignment")
            for n in range(15):
                log.append(topic, 0, numbered(3))
                log.append(topic, 1, numbered(1))
                member.subscription.pause([origin])
                member.poll(0.05)
                member.subscription.resume([origin])
                until(lambda n=n: len(member.rows) >= 4 * n + 4, [member], f"round {n}")  # type: ignore[misc]
            assert [row[0] for o, row in member.rows if o == origin] == list(range(45))

    def test_a_start_beyond_the_log_is_refused(self, log: EventLog, topic: str) -> None:
        log.append(topic, 0, numbered(3))
        starts = {TopicPartition(topic, 0): 50}
        member = Member(log, [topic], f"group-{uuid.uuid4().hex[:8]}", starts)
        try:
            with pytest.raises(PositionOutOfRange, match=topic):
                until(lambda: False, [member], "refusal")
        finally:
            member.subscription.close()


class _FencedRows:
    """Keeps rows as a store with epochs would: only what follows on from what is kept."""

    def __init__(self) -> None:
        self.rows: dict[TopicPartition, list[Row]] = {}
        self._lock = threading.Lock()

    def read(self, log: EventLog, topic: str, group: str, stop: threading.Event) -> None:
        subscription = log.subscribe([topic], group, self._start, lambda lost: None)
        try:
            while not stop.is_set():
                for batch in subscription.poll(0.1):
                    self._keep(batch.origin, rows_of([batch]))
        finally:
            subscription.close()

    def wait_for(self, size: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while sum(map(len, self.rows.values())) < size:
            assert time.monotonic() < deadline, f"{sum(map(len, self.rows.values()))} of {size} records came"
            time.sleep(0.02)

    def _start(self, origins: frozenset[TopicPartition]) -> Positions:
        with self._lock:
            return {origin: len(self.rows.get(origin, ())) for origin in origins}

    def _keep(self, origin: TopicPartition, rows: list[Row]) -> None:
        with self._lock:
            kept = self.rows.setdefault(origin, [])
            fresh = [row for row in rows if row[0] >= len(kept)]
            if fresh and fresh[0][0] == len(kept):
                kept.extend(fresh)


def _settled(members: Sequence[Member], partitions: int) -> bool:
    shares = [member.assignment for member in members]
    fair = all(len(share) == partitions // len(members) for share in shares)
    return fair and len(frozenset().union(*shares)) == partitions


def _by_partition(rows: Iterable[tuple[TopicPartition, Row]]) -> Mapping[int, list[tuple[int, bytes | None]]]:
    out: dict[int, list[tuple[int, bytes | None]]] = {}
    for origin, (offset, _, value) in rows:
        out.setdefault(origin.partition, []).append((offset, value))
    return out
