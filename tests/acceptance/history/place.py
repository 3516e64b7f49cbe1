"""A log and a store, empty at first, and what one does with them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4
from zlib import crc32

from tests.acceptance.history.events import Encoded
from tests.acceptance.history.rows import Rows, rows_of
from tests.acceptance.history.sips import Sips

from tillroll import settings
from tillroll.contract.registry import load_contract
from tillroll.database import Database
from tillroll.log import extent
from tillroll.log.port import EventLog, Positions, Record, TopicPartition
from tillroll.projection.registry import load_projections
from tillroll.publisher import Published, Publisher
from tillroll.services.admission.admitter import Admitter
from tillroll.services.histories.history import EventFrame
from tillroll.services.projector.projector import Projector
from tillroll.services.projector.runner import project_once
from tillroll.store.postgres import PostgresStore

__all__ = ["NOWHERE", "Place", "by_key", "execute", "fresh_database", "into_one"]

NOWHERE = Path("not", "used")
"""The data directory where log and store have addresses."""

Rule = Callable[[Record, int], int]
"""The partition of a record, given how many there are."""


def by_key(record: Record, partitions: int) -> int:
    """As tillroll's own publisher does it."""
    return crc32(record.key) % partitions


def into_one(record: Record, partitions: int) -> int:
    """Everything into the last partition."""
    return partitions - 1


@dataclass(frozen=True)
class Place:
    """Addresses of a log and of a store."""

    log_address: str
    store_address: str

    @contextmanager
    def log(self) -> Iterator[EventLog]:
        """The log, open."""
        log = settings.open_log(self.log_address, NOWHERE)
        try:
            yield log
        finally:
            log.close()

    @contextmanager
    def store(self) -> Iterator[PostgresStore]:
        """The store, open."""
        store = settings.open_store(self.store_address, NOWHERE)
        try:
            yield store
        finally:
            store.close()

    def publish(self, frames: Iterable[EventFrame]) -> Published:
        """By tillroll's own publisher."""
        with self.log() as log:
            publisher, out = Publisher(log, load_contract()), Published()
            for record, frame in frames:
                out += publisher.publish_frame(record, frame)
        return out

    @property
    def is_kafka(self) -> bool:
        """Whether the log is Kafka."""
        return self.log_address.startswith("kafka:")

    def append(self, events: Sequence[Encoded], batch: int, rule: Rule = by_key) -> None:
        """As another publisher might: so many events at a time, into partitions by its own rule."""
        with self.appending(rule) as append:
            append(events, batch)

    @contextmanager
    def appending(self, rule: Rule = by_key) -> Iterator[Callable[[Sequence[Encoded], int], None]]:
        """`append`, many times."""
        with self.log() as log:
            log.create_topics(load_contract().topics.values())
            partitions = {topic: log.partitions(topic) for topic in load_contract().topics}

            def append(events: Sequence[Encoded], batch: int) -> None:
                routed: dict[tuple[str, int], list[Record]] = {}
                for topic, record in events:
                    routed.setdefault((topic, rule(record, partitions[topic])), []).append(record)
                for (topic, partition), records in routed.items():
                    for start in range(0, len(records), batch):
                        log.append(topic, partition, records[start : start + batch])

            yield append

    def ends(self) -> int:
        """How many events there are to read, those that several projections read as often."""
        with self.log() as log:
            ends = _ends(log)
        wanted = [projection.topics() for projection in load_projections().values()]
        return sum(end for topics in wanted for origin, end in ends.items() if origin.topic in topics)

    def project(self) -> int:
        """All projections up to the end of the log, in this process; how many dead letters there were."""
        with self.log() as log, self.store() as store:
            return project_once(log, store, load_contract(), list(load_projections().values())).dead

    def project_in_steps(self, max_bytes: int) -> int:
        """As `project`, with a commit after about every `max_bytes`; how many commits that were."""
        contract = load_contract()
        with self.log() as log, self.store() as store:
            store.bind(log.identity)
            ends = _ends(log)
            if not log.settles_duplicates:
                _admit(Admitter(log, store, contract), ends)
            small: Any = Sips(log, max_bytes)
            made = [Projector(p, small, store, contract, 1) for p in load_projections().values()]
            try:
                return sum(_commits(projector, ends) for projector in made)
            finally:
                for projector in made:
                    projector.close()

    def rows(self) -> Rows:
        """Every row of every view."""
        return rows_of(self.store_address)

    def environment(self) -> dict[str, str]:
        """That of a command which works here."""
        ours = {settings.LOG: self.log_address, settings.STORE: self.store_address}
        return {**os.environ, **ours}

    def start(self, *arguments: str, **extra: str) -> "subprocess.Popen[str]":
        """Start `tillroll` with these arguments, `extra` being further environment variables."""
        return subprocess.Popen(
            command(*arguments),
            env={**self.environment(), **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tillroll(self, *arguments: str, code: int = 0, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run `tillroll` to its end; fails on another exit code than `code`."""
        done = subprocess.run(
            command(*arguments),
            env={**self.environment(), **extra},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"tillroll {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done


def _ends(log: EventLog) -> dict[TopicPartition, int]:
    return extent.ends(log, load_contract().topics)


def _admit(admitter: Admitter, ends: Positions) -> None:
    left = sum(ends.values())
    while left > 0:
        left -= admitter.step(0.5) or 0
    admitter.close()


def _commits(projector: Projector, ends: Positions) -> int:
    wanted = {origin: end for origin, end in ends.items() if origin.topic in projector.projection.topics()}
    commits = 0
    while projector.lag(wanted):
        commits += projector.step(0.5).events > 0
    return commits


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The address of an empty database on the PostgreSQL at `server`; dropped afterwards."""
    name = f"test_{uuid4().hex}"
    execute(server, f"create database {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        execute(server, f"drop database {name} with (force)")


def execute(address: str, statement: str) -> None:
    """Run one SQL statement."""
    connection = Database(address).connect()
    try:
        connection.execute(statement.encode())
    finally:
        connection.close()


def command(*arguments: str) -> list[str]:
    """The command line of `tillroll`: the installed script of this environment."""
    return [str(Path(sys.executable).with_name("tillroll")), *arguments]
