"""One process of a rebuild: projects its share of the log into a version that is being filled."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tillroll import settings
from tillroll.contract.registry import load_contract
from tillroll.errors import Unavailable
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.code import recorded
from tillroll.projection.declare import Projection
from tillroll.services.projector.projector import COMMIT_EVENTS, Projector
from tillroll.store.locks import InUse
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find

__all__ = ["Place", "by_its_code", "fill"]

STEP_SECONDS = 0.2
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts while the log or the store is down
LEAST_COMMIT = 1_000  # events, however low the rate


@dataclass(frozen=True, slots=True)
class Place:
    """Where log and store are, as `settings` takes it: what a process of its own can open."""

    log: str | None
    store: str | None
    data: Path

    @contextmanager
    def opened(self) -> Iterator[tuple[EventLog, PostgresStore]]:
        """A log and a store."""
        with (
            closing(settings.open_log(self.log, self.data)) as log,
            closing(settings.open_store(self.store, self.data)) as store,
        ):
            yield log, store


def by_its_code(version: Version) -> type[Projection]:
    """The class that projects `version`. Raises DeclarationError where its code cannot be run any more."""
    assert version.code is not None
    return recorded(version.name, version.number, version.code).numbered(
        version.number, version.limits.get("only")
    )


def fill(
    place: Place, name: str, number: int, ends: Mapping[TopicPartition, int], rate: float | None
) -> None:
    """Project until the group has reached `ends`, or the version is not being filled any more.

    rate: events a second at most, of this process. Waits while the log or the store is down. Raises what ends
    a projection.
    """
    wait = FIRST_WAIT
    while True:
        try:
            with place.opened() as (log, store):
                _session(log, store, name, number, ends, rate)
            return
        except Unavailable:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def _session(
    log: EventLog,
    store: PostgresStore,
    name: str,
    number: int,
    ends: Mapping[TopicPartition, int],
    rate: float | None,
) -> None:
    with store.connection() as connection:
        version = next((each for each in find(connection, name) if each.number == number), None)
    if version is None:
        return
    size = COMMIT_EVENTS if rate is None else max(LEAST_COMMIT, int(rate))
    with closing(InUse(store, name, number)) as use:
        if not use.still():
            return
        projector = Projector(by_its_code(version), log, store, load_contract(), size)
        with closing(projector):
            while use.still() and use.state is State.FILLING and projector.lag(ends) > 0:
                begun = time.monotonic()
                events = projector.step(STEP_SECONDS).events
                if rate is not None:
                    time.sleep(max(0.0, events / rate - (time.monotonic() - begun)))
            projector.flush()
