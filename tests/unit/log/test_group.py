"""Groups for logs that have none of their own: who reads what, and that a failing hand-over ends the membership."""

import random

import pytest

from tillroll.errors import StoreUnavailable
from tillroll.log.group import share
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Positions, TopicPartition
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
