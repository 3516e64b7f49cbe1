"""Groups for logs that have none of their own: who reads what, and that a failing hand-over ends the membership."""

import random
import time
from collections.abc import Callable, Sequence

import pytest

from tillroll.errors import StoreUnavailable
from tillroll.log.group import MUCH, POLL_BYTES, share
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Batch, Positions, Record, TopicPartition
from tillroll.testing.log_contract import topic_spec


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_members_share_all_partitions_evenly_and_once(size: int) -> None:
    partitions = [TopicPartition(topic, n) for topic in ("a", "b", "c") for n in range(4)]
    members = [f"member-{n}" for n in range(size)]
    random.Random(size).shuffle(partitions)
    shares = [share(partitions, members, member) for member in members]
    assert sorted(p for mine in shares for p in mine) == sorted(partitions)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_member_leaves_even_when_it_cannot_hand_over() -> None:
    log = MemoryLog()
    log.create_topics([topic_spec("t", 2)])

    def refuse(origins: frozenset[TopicPartition]) -> None:
        raise StoreUnavailable("the store does not answer")

    def from_the_start(origins: frozenset[TopicPartition]) -> Positions:
        return dict.fromkeys(origins, 0)

    first = log.subscribe(["t"], "g", from_the_start, refuse)
    first.poll(0)
    with pytest.raises(StoreUnavailable):
        first.close()
    second = log.subscribe(["t"], "g", from_the_start, lambda lost: None)
    second.poll(0)
    assert len(second.assignment()) == 2


ORIGIN = TopicPartition("t", 0)


class Watched(MemoryLog):
    """Notes from where it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_from: list[int] = []
        self.create_topics([topic_spec("t", 1)])
        for n in range(3):
            ids = (f"018f3c1e-0000-7000-8000-{n * MUCH + m:012d}" for m in range(MUCH))
            self.append("t", 0, [Record(b"k", b"v", id_) for id_ in ids])

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        self.read_from.append(offset)
        return super().read(origin, offset, 1)

    def is_read_from(self, offset: int) -> bool:
        """Whether it is read from there within a moment."""
        end = time.monotonic() + 5
        while offset not in self.read_from and time.monotonic() < end:
            time.sleep(0.001)
        return offset in self.read_from


def test_what_comes_next_is_read_before_it_is_asked_for_and_given_once() -> None:
    log = Watched()
    member = log.subscribe(["t"], "g", lambda won: dict.fromkeys(won, 0), lambda lost: None)
    assert [batch.base_offset for batch in member.poll(0)] == [0]
    assert log.is_read_from(MUCH)
    assert [batch.base_offset for _ in range(2) for batch in member.poll(0)] == [MUCH, 2 * MUCH]
    assert member.poll(0) == []
    assert sorted(at for at in log.read_from if at < 3 * MUCH) == [0, MUCH, 2 * MUCH]
    member.close()


@pytest.mark.parametrize(
    ("change", "next_one"),
    [
        (lambda member: member.seek(ORIGIN, 0), 0),
        (lambda member: member.seek(ORIGIN, 2 * MUCH), 2 * MUCH),
        (lambda member: member.pause([ORIGIN]), None),
    ],
)
def test_what_was_read_ahead_is_dropped_where_somebody_moved(
    change: Callable[..., None], next_one: int | None
) -> None:
    log = Watched()
    member = log.subscribe(["t"], "g", lambda won: dict.fromkeys(won, 0), lambda lost: None)
    member.poll(0)
    assert log.is_read_from(MUCH)
    change(member)
    assert [batch.base_offset for batch in member.poll(0)] == ([] if next_one is None else [next_one])
    member.resume([ORIGIN])
    assert next_one is not None or [batch.base_offset for batch in member.poll(0)] == [MUCH]
    member.close()


def test_who_takes_small_bites_reads_nothing_ahead() -> None:
    log = Watched()
    member = log.subscribe(["t"], "g", lambda won: dict.fromkeys(won, 0), lambda lost: None)
    assert [batch.base_offset for batch in member.poll(0, 1)] == [0]
    time.sleep(0.2)
    assert log.read_from == [0]
    member.close()
