"""Logs, a store and a projector that works until nothing is left."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tillroll.contract.registry import load_contract
from tillroll.log import extent, group
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog, TopicPartition
from tillroll.log.postgres import PostgresLog
from tillroll.projection import Projection
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore

Finish = Callable[[Projector, EventLog], int]


@pytest.fixture(autouse=True)
def _quick_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.05)


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.fixture(params=["memory", "postgres"])
def log(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[EventLog]:
    log: EventLog = MemoryLog() if request.param == "memory" else PostgresLog(postgres_url)
    log.create_topics(load_contract().topics.values())
    yield log
    log.close()


@pytest.fixture
def finish() -> Finish:
    """Steps until nothing is left; how many events were committed."""
    return run_to_the_end


def ends_of(log: EventLog, projection: type[Projection]) -> dict[TopicPartition, int]:
    return extent.ends(log, projection.topics())


def run_to_the_end(projector: Projector, log: EventLog) -> int:
    ends, events = ends_of(log, projector.projection), 0
    for _ in range(2_000):
        if projector.lag(ends) == 0:
            return events + projector.flush().events
        events += projector.step(0.05).events
    raise AssertionError(f"the projector is still {projector.lag(ends)} events behind")


@pytest.fixture
def killable() -> Path:
    """The script of a process that projects until nothing is left."""
    return Path(__file__).with_name("killable.py")
