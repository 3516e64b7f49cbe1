"""Who reads which partitions of a group on Kafka: the rule that the other logs have, by kafka-python's protocol.

Kafka's own sticky rule evens out how many partitions members have, whatever topics they are of: of two members one
gets all partitions of a busy topic, and the other one those of a quiet one.
"""

from collections import defaultdict
from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from tillroll.log.group import share
from tillroll.log.port import TopicPartition

__all__ = ["ShareAssignor"]


class ShareAssignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """`share` among the members, in the two rounds of KIP-429: what moves is given up before it is given.

    https://cwiki.apache.org/confluence/x/vAclBg
    """

    name = "tillroll-share"

    def assign(self, cluster: Any, members: Any) -> dict[str, Any]:
        """See the parent: per member_id its assignment. Runs in the member that leads the group."""
        subscribed = {member.member_id: frozenset(member.metadata.topics) for member in members}
        owners = {
            TopicPartition(owned.topic, partition): member.member_id
            for member in members
            for owned in member.metadata.owned_partitions or ()
            for partition in owned.partitions
        }
        wanted: dict[str, set[TopicPartition]] = {id_: set() for id_ in subscribed}
        for readers, partitions in _by_readers(cluster, subscribed).items():
            for id_ in readers:
                wanted[id_] |= share(partitions, readers, id_)
        return {
            id_: self._assignment(origin for origin in mine if owners.get(origin, id_) == id_)
            for id_, mine in wanted.items()
        }

    def _assignment(self, origins: Any) -> Any:
        by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, partition in sorted(origins):
            by_topic[topic].append(partition)
        return ConsumerProtocolAssignment(self.version, list(by_topic.items()), b"")


def _by_readers(
    cluster: Any, subscribed: dict[str, frozenset[str]]
) -> dict[tuple[str, ...], list[TopicPartition]]:
    """The partitions that the same members read; those of an unknown topic come with the next look at the cluster."""
    out: dict[tuple[str, ...], list[TopicPartition]] = defaultdict(list)
    for topic in sorted(frozenset().union(*subscribed.values())):
        readers = tuple(sorted(id_ for id_, topics in subscribed.items() if topic in topics))
        out[readers] += [TopicPartition(topic, n) for n in cluster.partitions_for_topic(topic) or ()]
    return out
