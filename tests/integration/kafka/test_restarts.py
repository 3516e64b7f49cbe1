"""The broker goes away and comes back, while reading and while writing."""

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tillroll.errors import LogUnavailable
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import Appended, Record, TopicPartition
from tillroll.testing.kafka import Broker
from tillroll.testing.log_contract import Member, read_all, record, topic_spec

pytestmark = pytest.mark.kafka

TIMEOUT = 6.0


@pytest.fixture
def log(kafka_broker: Broker) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_broker.address, timeout=TIMEOUT)
    yield log
    log.close()


@pytest.fixture
def topic(log: KafkaLog) -> str:
    name = f"restart-{uuid.uuid4().hex[:10]}"
    log.create_topics([topic_spec(name, 2)])
    return name


def read_until(member: Member, size: int) -> None:
    deadline = time.monotonic() + 60
    while len(member.rows) < size:
        assert time.monotonic() < deadline, f"{len(member.rows)} of {size} came"
        try:
            member.poll()
        except LogUnavailable:
            time.sleep(0.2)  # as a projector waits and goes on


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_reading_goes_on_after_a_restart(log: KafkaLog, topic: str, kafka_broker: Broker, how: str) -> None:
    sent = [record(f"{n}") for n in range(60)]
    log.append(topic, 0, sent[:40])
    member = Member(log, [topic], f"group-{uuid.uuid4()}")
    read_until(member, 40)
    getattr(kafka_broker, how)()
    for _ in range(10):
        try:
            assert member.poll(0.1) == 0
        except LogUnavailable:
            continue
    kafka_broker.start()
    _append(log, topic, sent[40:])
    read_until(member, 60)
    assert member.values() == [one.value for one in sent]
    member.subscription.close()


@pytest.mark.parametrize("size", [1, 1_000])
def test_what_an_append_returned_for_is_there_once_and_all_the_rest_can_be_sent_again(
    log: KafkaLog, topic: str, kafka_broker: Broker, size: int
) -> None:
    written, stop = _Written(size), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(written.write, log, topic, stop)
        for how in (kafka_broker.kill, kafka_broker.stop):
            written.wait_for_more(20)
            how()
            time.sleep(0.5)
            kafka_broker.start()
        written.wait_for_more(20)
        stop.set()
        writing.result(60)
    held = read_all(log, TopicPartition(topic, 0))
    values = [row[2] for row in held]
    for one, answer in written.done:
        assert held[answer.position.offset] == (answer.position.offset, one.key, one.value)
    firsts = list(dict.fromkeys(values))
    assert firsts == [one.value for one, _ in written.done]
    assert len(values) - len(firsts) <= written.failed * size  # only what was sent again may be there again


def test_an_append_that_waits_out_a_restart_is_there_once_and_in_order(
    log: KafkaLog, topic: str, kafka_broker: Broker
) -> None:
    patient, written, stop = KafkaLog(kafka_broker.address, timeout=60), _Written(1_000), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(written.write, patient, topic, stop)
        for how in (kafka_broker.kill, kafka_broker.stop):
            written.wait_for_more(20)
            how()
            time.sleep(0.3)
            kafka_broker.start()
        written.wait_for_more(20)
        stop.set()
        writing.result(90)
    patient.close()
    assert written.failed == 0
    held = read_all(log, TopicPartition(topic, 0))
    assert held == [(n, one.key, one.value) for n, (one, _) in enumerate(written.done)]
    assert [answer.position.offset for _, answer in written.done] == list(range(len(held)))


def test_while_the_broker_is_away_calls_say_so_and_then_work_again(
    log: KafkaLog, topic: str, kafka_broker: Broker
) -> None:
    log.append(topic, 0, [record("before")])
    origin = TopicPartition(topic, 0)
    kafka_broker.stop()
    for call in (
        lambda: log.append(topic, 0, [record("lost")]),
        lambda: log.read(origin, 0),
        lambda: log.end_offset(origin),
        lambda: log.partitions(topic),
    ):
        started = time.monotonic()
        with pytest.raises(LogUnavailable, match=kafka_broker.address):
            call()
        assert time.monotonic() - started < 3 * TIMEOUT
    kafka_broker.start()
    _append(log, topic, [record("after")])
    assert [row[2] for row in read_all(log, origin)][-1] == record("after").value
    assert log.partitions(topic) == 2


def _append(log: KafkaLog, topic: str, records: list[Record]) -> list[Appended]:
    while True:
        try:
            return log.append(topic, 0, records)
        except LogUnavailable:
            time.sleep(0.2)


class _Written:
    """Appends `size` records after another, each time until they are acknowledged."""

    def __init__(self, size: int) -> None:
        self.done: list[tuple[Record, Appended]] = []
        self.failed, self._size = 0, size

    def write(self, log: KafkaLog, topic: str, stop: threading.Event) -> None:
        while not stop.is_set():
            some = [record(f"value {len(self.done) + n}") for n in range(self._size)]
            while True:
                try:
                    answers = log.append(topic, 0, some)
                    break
                except LogUnavailable:
                    self.failed += 1
            self.done += zip(some, answers, strict=True)

    def wait_for_more(self, size: int) -> None:
        wanted, deadline = len(self.done) + size * self._size, time.monotonic() + 60
        while len(self.done) < wanted:
            assert time.monotonic() < deadline, "nothing is written any more"
            time.sleep(0.02)
