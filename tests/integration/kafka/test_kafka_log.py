"""The log on Kafka keeps the contract of every log, by whole batches and record by record."""

from collections.abc import Iterator

import pytest

from tillroll.log import kafka_produce
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import EventLog
from tillroll.testing.log_contract import LogContract

pytestmark = pytest.mark.kafka


class TestKafkaLog(LogContract):
    @pytest.fixture
    def log(self, kafka_address: str) -> Iterator[EventLog]:
        log = KafkaLog(kafka_address)
        yield log
        log.close()


class TestKafkaLogWholeBatches(LogContract):
    """Even a single record is appended as a batch made beforehand."""

    @pytest.fixture
    def log(self, kafka_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventLog]:
        monkeypatch.setattr(kafka_produce, "FEWEST_FOR_BATCHES", 1)
        log = KafkaLog(kafka_address)
        yield log
        log.close()


class TestKafkaLogRecordByRecord(LogContract):
    """What is used with a version of kafka-python that this was not proven with."""

    @pytest.fixture
    def log(self, kafka_address: str) -> Iterator[EventLog]:
        log = KafkaLog(kafka_address, whole_batches=False)
        yield log
        log.close()
