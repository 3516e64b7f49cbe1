"""A live projection with a history on either log, and rebuilds of it in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.topics import end_sessions, remove_topics

from tillroll import settings
from tillroll.contract.registry import load_contract
from tillroll.events import Event
from tillroll.log.port import EventLog
from tillroll.projections.store_availability import StoreAvailability
from tillroll.publisher import Publisher
from tillroll.services.projector.runner import project_once
from tillroll.store.postgres import PostgresStore
from tillroll.store.sql import quoted
from tillroll.testing.order_free import generated_history

CONTRACT = load_contract()
NAME = "store_availability"
COMMAND = [sys.executable, "-c", "from tillroll.cli.main import main; main()"]


class Scene:
    """A log without events and a store, by address, and the live version of NAME in it."""

    def __init__(self, log: str, store: str, folder: Path):
        self.log_address, self.store_address, self.folder = log, store, folder
        self.kafka = log.removeprefix("kafka://") if log.startswith("kafka://") else None
        if self.kafka:
            remove_topics(self.kafka)  # other tests filled them: there is one broker for all
        self.environment = os.environ | {
            settings.LOG: log,
            settings.STORE: store,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    @contextmanager
    def opened(self) -> Iterator[tuple[EventLog, PostgresStore]]:
        with (
            closing(settings.open_log(self.log_address, self.folder)) as log,
            closing(settings.open_store(self.store_address, self.folder)) as store,
        ):
            yield log, store

    def publish(self, seed: int, size: int, batch: int) -> list[Event]:
        events = generated_history(StoreAvailability, seed, size)
        with self.opened() as (log, _):
            log.create_topics(CONTRACT.topics.values())
            publisher = Publisher(log, CONTRACT)
            for at in range(0, size, batch):
                publisher.publish(events[at : at + batch])
        return events

    def project(self) -> None:
        with self.opened() as (log, store):
            project_once(log, store, CONTRACT, [StoreAvailability])

    @contextmanager
    def rebuilding(self, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """`tillroll replay rebuild`, killed in the end if it is still there."""
        process = subprocess.Popen(
            [*COMMAND, "replay", "rebuild", NAME, *options],
            env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            with process:
                yield process
                process.kill()
        finally:
            process.kill()

    def bury(self) -> None:
        """Have Kafka forget at once those that were killed while they filled."""
        if self.kafka:
            with self.opened() as (_, store):
                end_sessions(self.kafka, [store.group(StoreAvailability.numbered(2).schema())])

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *command], env=self.environment, cwd=self.folder, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def filled(self, version: int = 2) -> int:
        """How many offsets the candidate has behind it."""
        with self.opened() as (_, store):
            return sum(store.positions(StoreAvailability.numbered(version)).values())

    def state(self) -> list[tuple[int, str]]:
        with self.opened() as (_, store), store.connection() as connection:
            return list(
                connection.execute(
                    "select version, state from tillroll.projections where name = %s order by 1", [NAME]
                ).fetchall()
            )

    def differing(self) -> int:
        """Rows that one of the versions 1 and 2 has and the other has not, in all tables."""
        one, two = StoreAvailability, StoreAvailability.numbered(2)
        with self.opened() as (_, store), store.connection() as connection:
            found = connection.execute(
                "select tablename from pg_tables where schemaname = %s", [one.schema()]
            ).fetchall()
            assert found
            total = 0
            for (table,) in found:
                a, b = (f"(table {quoted(p.schema())}.{quoted(table)})" for p in (one, two))
                row = connection.execute(
                    f"select count(*) from (({a} except all {b}) union all ({b} except all {a})) d".encode()
                ).fetchone()
                assert row is not None
                total += row[0]
        return total


def in_time(true: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def moved(scene: Scene, before: int, process: "subprocess.Popen[str]") -> bool:
    """Whether more is filled than before, or there is nothing to wait for."""
    return scene.filled() > before or process.poll() is not None


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def scene(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Scene:
    if request.param == "postgres":
        return Scene(postgres_url, postgres_url, tmp_path)
    return Scene(f"kafka://{request.getfixturevalue('kafka_address')}", postgres_url, tmp_path)


@pytest.fixture
def postgres_scene(postgres_url: str, tmp_path: Path) -> Scene:
    return Scene(postgres_url, postgres_url, tmp_path)
