"""The log in memory keeps the contract of every log, settling duplicates and not."""

from collections.abc import Iterator

import pytest

from tillroll.log import group
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog
from tillroll.testing.log_contract import LogContract
from tillroll.testing.unsettled import UnsettledLog


@pytest.fixture(autouse=True)
def _quick_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.05)


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        log = MemoryLog()
        yield log
        log.close()


class TestUnsettledLog(LogContract):
    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        log = UnsettledLog()
        yield log
        log.close()

    def test_takes_duplicates_as_kafka_does(self, log: EventLog) -> None:
        assert not log.settles_duplicates
