"""Groups beyond the contract of every log: members that seldom poll, members that vanish."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import pytest
from kafka.admin import MemberToRemove

from tillroll.log import kafka
from tillroll.log.kafka import KafkaLog
from tillroll.log.kafka_assignor import ShareAssignor
from tillroll.log.port import Subscription, TopicPartition
from tillroll.testing.log_contract import Member, record, rows_of, topic_spec, until

pytestmark = pytest.mark.kafka

MEMBER = """
import sys
from tillroll.log.kafka import KafkaLog
from tillroll.testing.log_contract import Member
member = Member(KafkaLog(sys.argv[1]), [sys.argv[2]], sys.argv[3])
while True:
    member.poll()
"""


def new_topic(log: KafkaLog, partitions: int) -> str:
    name = f"group-{uuid.uuid4().hex[:10]}"
    log.create_topics([topic_spec(name, partitions)])
    return name


class _Busy:
    """A member that is away from poll most of the time, in a thread of its own."""

    def __init__(self, log: KafkaLog, topic: str, group: str, away: float):
        self.stop = threading.Event()
        self.member = Member(log, [topic], group)
        self._away = away

    def run(self) -> None:
        while not self.stop.is_set():
            self.member.poll(0.02)
            time.sleep(self._away)
        self.member.subscription.close()


def test_members_that_are_mostly_busy_settle(log: KafkaLog) -> None:
    topic, group = new_topic(log, 6), f"busy-{uuid.uuid4()}"
    busy = [_Busy(log, topic, group, away) for away in (0.35, 0.55, 0.8)]
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(one.run) for one in busy]
        try:
            deadline = time.monotonic() + 40
            settled = 0
            while settled < 30:  # three seconds on end
                assert time.monotonic() < deadline, [one.member.assignment for one in busy]
                shares = [one.member.assignment for one in busy]
                fair = all(len(share) == 2 for share in shares) and len(frozenset().union(*shares)) == 6
                settled = settled + 1 if fair else 0
                time.sleep(0.1)
        finally:
            for one in busy:
                one.stop.set()
            for run in running:
                run.result(30)


@pytest.mark.parametrize("whole", [True, False], ids=["batches", "records"])
@pytest.mark.parametrize(("waits", "away"), [(60.0, 0.0), (0.0, 0.3)], ids=["waiting", "busy"])
def test_what_moves_is_given_up_before_it_is_given(
    kafka_address: str, whole: bool, waits: float, away: float
) -> None:
    """Or what was read of it, and is committed in on_revoked, would be read again. Who waits for events hears of it at once."""
    log = KafkaLog(kafka_address, whole_batches=whole)
    topic, group = new_topic(log, 4), f"moves-{uuid.uuid4()}"
    given_up, taken = dict[TopicPartition, float](), dict[TopicPartition, float]()

    def giving_up(lost: frozenset[TopicPartition]) -> None:
        time.sleep(1.0)
        given_up.update(dict.fromkeys(lost, time.monotonic()))

    def taking(won: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        for origin in won:
            taken.setdefault(origin, time.monotonic())
        return dict.fromkeys(won, 0)

    one = log.subscribe([topic], group, lambda won: dict.fromkeys(won, 0), giving_up)
    _poll_until(lambda: len(one.assignment()) == 4, one)
    moved = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(_poll_until, moved.is_set, one, waits, away)
        two = log.subscribe([topic], group, taking, lambda lost: None)
        try:
            _poll_until(lambda: len(two.assignment()) == 2, two)
        finally:
            moved.set()
            for partition in range(4):
                log.append(topic, partition, [record("wakes who waits")])
        polling.result()
    assert sorted(taken) == sorted(two.assignment())
    assert [origin for origin in taken if not given_up.get(origin, inf) <= taken[origin]] == []
    for member in (two, one):
        member.close()
    log.close()


def test_who_was_put_out_of_the_group_claims_nothing(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it held may be another one's by now, and two who claim each other's partitions would both get none."""
    claims = list[int]()
    assign = ShareAssignor.assign

    def noted(assignor: ShareAssignor, cluster: Any, members: Any) -> Any:
        owned = [each for member in members for each in member.metadata.owned_partitions or ()]
        claims.append(sum(len(each.partitions) for each in owned))
        return assign(assignor, cluster, members)

    monkeypatch.setattr(ShareAssignor, "assign", noted)
    topic, group = new_topic(log, 4), f"out-{uuid.uuid4()}"
    one = Member(log, [topic], group)
    until(lambda: len(one.assignment) == 4, [one], "all partitions")
    settled = time.monotonic() + 1.0  # its leader joins once more when it knows the topics
    until(lambda: time.monotonic() > settled, [one], "a second")
    admin = log._open_admin()
    (described,) = admin.describe_groups([group]).values()
    (member,) = described["members"]
    admin.remove_group_members(group, [MemberToRemove(member["member_id"])])
    claims.clear()
    until(lambda: len(one.revoked) == 4 and len(one.assignment) == 4, [one], "all of them again")
    assert claims[0] == 0
    one.subscription.close()


def test_who_is_put_out_while_it_joins_claims_nothing_either(log: KafkaLog) -> None:
    """kafka-python calls no listener then, so what was held still seems to be."""
    topic = new_topic(log, 4)
    one = Member(log, [topic], f"joins-{uuid.uuid4()}")
    until(lambda: len(one.assignment) == 4, [one], "all partitions")
    coordinator = one.subscription._consumer._coordinator  # type: ignore[attr-defined]
    ((_, before),) = coordinator.group_protocols()
    coordinator.reset_generation()
    ((_, after),) = coordinator.group_protocols()
    assert [owned.partitions for owned in before.owned_partitions] == [[0, 1, 2, 3]]
    assert list(after.owned_partitions) == []
    one.subscription.close()


def test_a_member_whose_process_is_gone_gives_up_its_share(log: KafkaLog, kafka_address: str) -> None:
    topic, group = new_topic(log, 4), f"lost-{uuid.uuid4()}"
    one = Member(log, [topic], group)
    command = [sys.executable, "-c", MEMBER, kafka_address, topic, group]
    with subprocess.Popen(command) as other:
        until(lambda: len(one.assignment) == 2, [one], "half of the partitions")
        other.kill()
    until(lambda: len(one.assignment) == 4, [one], "all partitions")
    one.subscription.close()


def test_a_member_without_partitions_looks_less_and_less_often(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[object]()
    fetch = kafka._Member._fetch

    def counted(member: kafka._Member, timeout: float, max_bytes: int) -> None:
        looks.append(member)
        fetch(member, timeout, max_bytes)

    monkeypatch.setattr(kafka._Member, "_fetch", counted)
    topic, group = new_topic(log, 1), f"idle-{uuid.uuid4()}"
    members = [Member(log, [topic], group) for _ in range(2)]
    until(lambda: any(member.assignment for member in members), members, "the partition")
    idle = next(member for member in members if not member.assignment)
    looks.clear()
    idle.poll(2.0)
    assert 2 <= looks.count(idle.subscription) <= 40  # 200 would be one every 10 ms
    for member in members:
        member.subscription.close()


def test_nothing_is_lost_when_handing_over_fails(log: KafkaLog) -> None:
    topic = new_topic(log, 1)
    origin = TopicPartition(topic, 0)
    for n in range(5):
        log.append(topic, 0, [record(f"{n}")])
    failures = [OSError("first"), OSError("second")]

    def assigned(origins: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        if failures:
            raise failures.pop(0)
        return dict.fromkeys(origins, 2)

    subscription = log.subscribe([topic], f"fails-{uuid.uuid4()}", assigned, lambda lost: None)
    read: list[int] = []
    deadline = time.monotonic() + 30
    while sum(read) < 3:
        assert time.monotonic() < deadline
        try:
            read += [batch.count for batch in subscription.poll(0.2)]
        except OSError as failure:
            assert str(failure) in ("first", "second")  # noqa: PT017 - it is raised by this very test
    assert failures == []
    assert subscription.assignment() == {origin}
    subscription.close()


def test_what_was_fetched_before_a_pause_comes_after_it(log: KafkaLog) -> None:
    """Half-read fetches are parked by a pause; kafka-python 3.0.12 by itself can forget to take them up again."""
    topic = new_topic(log, 2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    for n in range(30):
        log.append(topic, 0, [record(f"{n}")])
    member = Member(log, [topic], f"parked-{uuid.uuid4()}")
    until(lambda: bool(member.assignment), [member], "an assignment")
    while not member.rows:
        _take_one(member)
    member.subscription.pause([first])
    log.append(topic, 1, [record("other")])
    until(lambda: member.starts.get(second) == 1, [member], "what the other partition has")
    member.subscription.resume([first])
    until(lambda: member.starts[first] == 30, [member], "all of the one that rested")
    assert [row[0] for origin, row in member.rows if origin == first] == list(range(30))
    member.subscription.close()


def _poll_until(
    condition: Callable[[], bool], member: Subscription, waits: float = 0.2, away: float = 0.0
) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        member.poll(waits)
        time.sleep(away)


def _take_one(member: Member) -> None:
    """One batch, so that the rest of the fetch stays with the client."""
    for batch in member.subscription.poll(0.5, 1):
        member.rows += [(batch.origin, row) for row in rows_of([batch])]
        member.starts[batch.origin] = batch.next_offset
