"""Topics, other people's producers, and reading by both ways."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from tillroll.log.kafka import KafkaLog
from tillroll.log.port import TopicPartition

MakeTopic = Callable[..., TopicPartition]
MakeProducer = Callable[..., Any]


@pytest.fixture
def log(kafka_address: str) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_address)
    yield log
    log.close()


@pytest.fixture
def by_record(kafka_address: str) -> Iterator[KafkaLog]:
    """The log as it is read with a kafka-python that whole batches were not proven with."""
    log = KafkaLog(kafka_address, whole_batches=False)
    yield log
    log.close()


@pytest.fixture
def admin(kafka_address: str) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    yield admin
    admin.close()


@pytest.fixture
def make_topic(admin: Any) -> MakeTopic:
    """Make a topic of one partition with any settings, as other people would; its partition.

    It keeps everything unless told otherwise: by the clock of a producer, events may be older than any retention.
    """

    def make(**configs: str) -> TopicPartition:
        name = f"other-{uuid.uuid4().hex[:10]}"
        settings = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configs.items()}
        admin.create_topics({name: {"num_partitions": 1, "configs": settings}}, wait_for_metadata=True)
        return TopicPartition(name, 0)

    return make


@pytest.fixture
def make_producer(kafka_address: str) -> Iterator[MakeProducer]:
    """Open producers that are not tillroll's; with a transactional_id they are ready to begin."""
    with ExitStack() as stack:

        def make(**configs: Any) -> Any:
            producer = KafkaProducer(bootstrap_servers=kafka_address, linger_ms=1_000, **configs)
            stack.callback(producer.close)
            if "transactional_id" in configs:
                producer.init_transactions()
            return producer

        yield make
