"""The broker for tests, and the ways to say which."""

import pytest

from tillroll.testing.broker import JavaBroker, answers, free_port
from tillroll.testing.kafka import Broker

pytestmark = pytest.mark.kafka


def test_the_broker_of_the_run_answers(kafka_address: str) -> None:
    assert answers(kafka_address)


def test_nobody_answers_on_a_free_port() -> None:
    assert not answers(f"127.0.0.1:{free_port()}")


def test_a_broker_stops_and_comes_back_at_its_address(kafka_broker: Broker) -> None:
    address = kafka_broker.address
    kafka_broker.stop()
    assert not answers(address)
    kafka_broker.start()
    assert answers(kafka_broker.address)
    assert kafka_broker.address == address


def test_another_process_stops_what_one_started(kafka_broker: Broker) -> None:
    if not isinstance(kafka_broker, JavaBroker):
        pytest.skip("only a Java process is found by its process id")
    other = JavaBroker(kafka_broker.directory, kafka_broker.port)
    assert other.is_running()
    other.stop()
    assert not other.is_running()
    assert not answers(kafka_broker.address)
