"""What a test does to Kafka behind tillroll's back. kafka-python is used here alone."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import UnknownTopicOrPartitionError

from tillroll.contract.registry import load_contract

__all__ = ["delete_before", "end_sessions", "remove_topics", "send"]

GONE_SECONDS = 30.0


@contextmanager
def _admin(address: str) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        yield admin
    finally:
        admin.close()


def remove_topics(address: str, *topics: str) -> None:
    """Remove these topics, all of the contract unless named; returns once they are gone."""
    wanted = set(topics or load_contract().topics)
    with _admin(address) as admin:
        deadline = time.monotonic() + GONE_SECONDS
        while there := wanted & set(admin.list_topics()):
            assert time.monotonic() < deadline, f"topics {there} do not go away"
            _delete(admin, there)
            time.sleep(0.1)


def _delete(admin: Any, topics: set[str]) -> None:
    try:
        admin.delete_topics(sorted(topics))
    except UnknownTopicOrPartitionError:
        return  # gone in the meantime


def delete_before(address: str, topic: str, partition: int, offset: int) -> None:
    """Make `offset` the lowest one that the partition holds, as retention does."""
    with _admin(address) as admin:
        admin.delete_records({TopicPartition(topic, partition): offset})


def end_sessions(address: str, groups: Iterable[str]) -> None:
    """Put every member out of these groups: what the broker does to dead ones too, 10 seconds later."""
    with _admin(address) as admin:
        for name, group in admin.describe_groups(list(groups)).items():
            members = [MemberToRemove(member_id=member["member_id"]) for member in group["members"]]
            if members:
                admin.remove_group_members(name, members)


def send(address: str, topic: str, partition: int, value: bytes) -> None:
    """Write a record that need not be an event."""
    producer = KafkaProducer(bootstrap_servers=address)
    try:
        producer.send(topic, value=value, partition=partition).get(30)
    finally:
        producer.close()
