"""The broker goes away under a projector that follows: it says so once, and goes on when the broker is back."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.projector.admission import CONTRACT, put, received

from tillroll.errors import LogUnavailable, TillrollError
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import EventLog
from tillroll.projections.store_availability import StoreAvailability
from tillroll.services.projector.listening import Silent
from tillroll.services.projector.runner import Run
from tillroll.store.postgres import PostgresStore
from tillroll.testing.kafka import Broker

pytestmark = pytest.mark.kafka

IDLE_SECONDS = 13.0  # longer than a broker may be silent


class _Told(Silent):
    def __init__(self) -> None:
        self.notes: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[int] = queue.SimpleQueue()

    def progressed(self, name: str, events: int, dead: int) -> None:
        if name == StoreAvailability.name:
            self.events.put(events)

    def waiting(self, error: TillrollError) -> None:
        self.notes.put(error)

    def resumed(self, seconds: float) -> None:
        self.notes.put("on again")


@contextmanager
def following(address: str, postgres_url: str, told: _Told) -> Iterator[None]:
    @contextmanager
    def parts() -> Iterator[tuple[EventLog, PostgresStore]]:
        log, store = KafkaLog(address, timeout=6), PostgresStore(postgres_url)
        try:
            yield log, store
        finally:
            log.close()
            store.close()

    run = Run(parts, CONTRACT, [StoreAvailability], told)
    thread = threading.Thread(target=run.run)
    thread.start()
    try:
        yield
    finally:
        run.stop()
        thread.join()


def publish(address: str) -> None:
    log = KafkaLog(address)
    put(log, 0, received())
    log.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_outage_is_told_once_and_its_end_too(kafka_broker: Broker, postgres_url: str, how: str) -> None:
    told = _Told()
    log = KafkaLog(kafka_broker.address)
    log.create_topics(CONTRACT.topics.values())
    log.close()
    with following(kafka_broker.address, postgres_url, told):
        publish(kafka_broker.address)
        assert told.events.get(timeout=60) > 0
        time.sleep(IDLE_SECONDS)
        assert told.notes.empty()  # an idle topic is none
        getattr(kafka_broker, how)()
        waiting = told.notes.get(timeout=40)
        assert isinstance(waiting, LogUnavailable)
        assert kafka_broker.address in str(waiting)
        time.sleep(3)
        kafka_broker.start()
        assert told.notes.get(timeout=60) == "on again"
        while not told.events.empty():
            told.events.get()
        publish(kafka_broker.address)
        assert told.events.get(timeout=60) == 1
    assert told.notes.empty()
