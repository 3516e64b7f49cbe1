"""Empty places to bring a history to, on every log; histories that are made once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.acceptance.history.events import every_nth, few_of_everything
from tests.acceptance.history.place import Place, fresh_database
from tests.acceptance.history.rows import Rows
from tests.topics import remove_topics

from tillroll import settings
from tillroll.services.histories import tpcds
from tillroll.services.histories.history import EventFrame
from tillroll.testing.kafka import Broker

Frames = list[EventFrame]
NewStore = Callable[[], str]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (settings.DATA, settings.LOG, settings.STORE, settings.PROJECTIONS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def new_store(postgres_server: str) -> Iterator[NewStore]:
    """Makes empty databases, which are gone after the test."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(fresh_database(postgres_server))


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest, new_store: NewStore) -> Place:
    """An empty log, in PostgreSQL and in Kafka in turn, and an empty store."""
    if request.param == "postgres":
        store = new_store()
        return Place(store, store)
    on_kafka: Place = request.getfixturevalue("on_kafka")
    return on_kafka


@pytest.fixture
def on_kafka(kafka_broker: Broker, new_store: NewStore) -> Place:
    """An empty log in Kafka, and an empty store."""
    remove_topics(kafka_broker.address)
    return Place(f"kafka://{kafka_broker.address}", new_store())


@pytest.fixture(scope="session")
def retailer() -> Frames:
    """TPC-DS at 0.01: 65,000 events."""
    with tpcds.history(0.01) as history:
        return list(history.frames())


@pytest.fixture(scope="session")
def imported(postgres_server: str) -> Iterator[Place]:
    """TPC-DS at 0.01 on PostgresLog, imported and projected by the commands."""
    with fresh_database(postgres_server) as store:
        place = Place(store, store)
        place.tillroll("import", "tpcds", "--scale", "0.01")
        place.tillroll("project", "--once")
        yield place


@pytest.fixture(scope="session")
def retailer_rows(imported: Place) -> Rows:
    """What the read models hold after that."""
    return imported.rows()


@pytest.fixture(scope="session")
def mixture(retailer: Frames) -> Frames:
    """A part of TPC-DS, and some of every event that it does not have: 10,000 events."""
    return every_nth(retailer, 8) + few_of_everything(40)


@pytest.fixture(scope="session")
def mixture_rows(postgres_server: str, mixture: Frames) -> Rows:
    """What the read models hold after `mixture`."""
    return _undisturbed(postgres_server, mixture)


@pytest.fixture(scope="session")
def few() -> Frames:
    """500 events, some of every type."""
    return few_of_everything(15, seed=8)


@pytest.fixture(scope="session")
def few_rows(postgres_server: str, few: Frames) -> Rows:
    """What the read models hold after `few`."""
    return _undisturbed(postgres_server, few)


def _undisturbed(postgres_server: str, frames: Frames) -> Rows:
    """The rows after `frames`: published once, projected in one go, nothing in the way."""
    with fresh_database(postgres_server) as store:
        place = Place(store, store)
        place.publish(frames)
        assert place.project() == 0
        return place.rows()
