"""Several stores may read one log: each has consumer groups of its own and gets every event."""

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tillroll.contract.registry import load_contract
from tillroll.database import Database
from tillroll.events import Event, StockReceived, to_wire
from tillroll.log import group
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog, Record, TopicPartition
from tillroll.projections.store_availability import StoreAvailability
from tillroll.services.admission.admitter import Admitter
from tillroll.services.projector.projector import Projector
from tillroll.store.admission import Verdicts
from tillroll.store.postgres import PostgresStore
from tillroll.testing import event
from tillroll.testing.unsettled import UnsettledLog

CONTRACT = load_contract()


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.fixture
def other(postgres_server: str) -> Iterator[PostgresStore]:
    """A second store, in a database beside the first."""
    name = f"other_{uuid.uuid4().hex}"
    server = Database(postgres_server).connect()
    server.execute(f"create database {name}".encode())
    store = PostgresStore(urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}")))
    yield store
    store.close()
    server.execute(f"drop database {name} with (force)".encode())
    server.close()


def fill(log: EventLog) -> None:
    """One event in each partition of stock."""
    log.create_topics(CONTRACT.topics.values())
    for partition in range(log.partitions("stock")):
        received = event(StockReceived, sku="a", location_id="s", quantity=1)
        log.append("stock", partition, [record(received)])


def record(of: Event) -> Record:
    _, key, value = to_wire(of, CONTRACT)
    return Record(key, value, of.event_id)


def stock(positions: dict[TopicPartition, int]) -> list[int]:
    return [offset for origin, offset in sorted(positions.items()) if origin.topic == "stock"]


def test_two_stores_have_two_groups_of_one_name(store: PostgresStore, other: PostgresStore) -> None:
    assert store.group("tillroll_admission") != other.group("tillroll_admission")


def test_every_process_of_a_store_finds_the_same_group(store: PostgresStore, postgres_url: str) -> None:
    again = PostgresStore(postgres_url)
    assert again.group("sales_v1") == store.group("sales_v1")
    assert store.group("sales_v1") != store.group("sales_v2")
    again.close()


def test_projectors_of_two_stores_read_all_of_one_log(
    store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.0)
    fill(log := MemoryLog())
    stores = [store, other]
    projectors = [Projector(StoreAvailability, log, one, CONTRACT, commit_bytes=1) for one in stores]
    for _ in range(5):
        for projector in projectors:
            projector.step(0)
    found = [stock(one.positions(StoreAvailability)) for one in stores]
    for projector in projectors:
        projector.close()
    assert found == [[1, 1, 1, 1]] * 2


def test_admitters_of_two_stores_admit_all_of_one_log(
    store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.0)
    fill(log := UnsettledLog())
    origins = [TopicPartition("stock", n) for n in range(log.partitions("stock"))]
    admitters = [Admitter(log, one, CONTRACT) for one in (store, other)]
    for _ in range(5):
        for admitter in admitters:
            admitter.step(0)
    found = [stock(Verdicts(one).admitted(origins)) for one in (store, other)]
    for admitter in admitters:
        admitter.close()
    assert found == [[1, 1, 1, 1]] * 2
