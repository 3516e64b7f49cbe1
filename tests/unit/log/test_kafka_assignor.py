"""Partitions of a Kafka group are shared topic by topic, and given up before they are given."""

from collections import Counter
from collections.abc import Mapping
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from tillroll.log.kafka_assignor import ShareAssignor

TOPICS = {"orders": 4, "stock": 4, "locations": 1}
CLUSTER = SimpleNamespace(partitions_for_topic=lambda topic: set(range(TOPICS.get(topic, 0))) or None)
Owned = Mapping[str, set[tuple[str, int]]]

EVERYTHING = {(topic, n) for topic, partitions in TOPICS.items() for n in range(partitions)}


def assigned(owned: Owned, topics: Mapping[str, list[str]] | None = None) -> dict[str, set[tuple[str, int]]]:
    """What each member gets in one round, while they own these partitions."""
    members = [
        SimpleNamespace(
            member_id=id_, metadata=_metadata((topics or {}).get(id_, [*TOPICS, "not there"]), partitions)
        )
        for id_, partitions in owned.items()
    ]
    answer = ShareAssignor().assign(CLUSTER, members)
    return {id_: {tuple(origin) for origin in mine.partitions()} for id_, mine in answer.items()}


def _metadata(topics: list[str], owned: set[tuple[str, int]]) -> Any:
    own = ConsumerProtocolSubscription.TopicPartition
    partitions = [own(topic=topic, partitions=[n]) for topic, n in sorted(owned)]
    return ConsumerProtocolSubscription(
        version=1, topics=sorted(topics), user_data=b"", owned_partitions=partitions
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 12])
def test_everything_is_read_by_one_member_and_each_topic_by_many(size: int) -> None:
    got = assigned({f"member {n}": set() for n in range(size)})
    assert Counter(origin for mine in got.values() for origin in mine) == Counter(EVERYTHING)
    sizes = [len(mine) for mine in got.values()]
    assert max(sizes) - min(sizes) <= 1
    for topic, partitions in TOPICS.items():
        each = [sum(origin[0] == topic for origin in mine) for mine in got.values()]
        assert max(each) == -(-partitions // size)


@pytest.mark.parametrize("before", list(permutations(["a", "b", "c"], 2)))
@pytest.mark.parametrize("after", [["a", "b", "c"], ["b", "c"], ["a"], ["d", "a"]])
def test_what_moves_is_given_up_first(before: tuple[str, ...], after: list[str]) -> None:
    owned = assigned({id_: set() for id_ in before})
    left: dict[str, set[tuple[str, int]]] = {id_: owned.get(id_, set()) for id_ in after}
    first = assigned(left)
    for id_, mine in first.items():
        others = set().union(*(left[other] for other in left if other != id_))
        assert not mine & others
    second = assigned(first)
    assert set().union(*second.values()) == EVERYTHING
    assert second == assigned(second)


def test_a_member_gets_no_topic_that_it_does_not_read() -> None:
    got = assigned({"a": set(), "b": set()}, {"a": ["stock"], "b": ["stock", "orders"]})
    assert got["a"] == {("stock", 0), ("stock", 2)}
    assert got["b"] == {("stock", 1), ("stock", 3)} | {("orders", n) for n in range(4)}
