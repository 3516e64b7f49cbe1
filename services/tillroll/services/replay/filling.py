"""One of those who fill: projects its share of the log into a version of a rebuild."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tillroll import settings
from tillroll.contract.registry import load_contract
from tillroll.errors import DeclarationError, EventUnfit, Unavailable
from tillroll.heap import keep_freed
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.code import recorded
from tillroll.projection.declare import Projection
from tillroll.projection.failures import FailureBudget
from tillroll.services.projector.projector import Projector
from tillroll.services.projector.workers import Open
from tillroll.store import dead_letters
from tillroll.store.locks import InUse
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find

__all__ = ["Place", "by_its_code", "fill", "patiently"]

T = TypeVar("T")

STEP_SECONDS = 0.2
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts while the log or the store is down


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
    if version.code is None:
        raise DeclarationError(
            f"version {version.number} of {version.name} records no code yet; `tillroll project {version.name} --once` with "
            "its file at hand notes it"
        )
    return recorded(version.name, version.number, version.code).numbered(
        version.number, version.limits.get("only")
    )


def never() -> bool:
    """Not to leave off before the end."""
    return False


def fill(
    opened: Open,
    name: str,
    number: int,
    ends: Mapping[TopicPartition, int],
    rate: float | None,
    stopped: Callable[[], bool] = never,
) -> None:
    """Project until the group has reached `ends`, the version is not being filled any more, or we are `stopped`.

    opened: gives a log and a store, again after an outage. rate: events a second at most, of this one. Waits while the
    log or the store is down. Raises what ends a projection.
    """

    keep_freed()

    def filled() -> None:
        with opened() as (log, store):
            _session(log, store, name, number, ends, rate, stopped)

    patiently(filled, stopped)


def patiently(work: Callable[[], T], stopped: Callable[[], bool] = never) -> T:
    """What `work` gives; it is done again for as long as the log or the store is down, unless we are `stopped`."""
    wait = FIRST_WAIT
    while True:
        try:
            return work()
        except Unavailable:
            until = time.monotonic() + wait
            while (rest := until - time.monotonic()) > 0:
                if stopped():
                    raise
                time.sleep(min(rest, STEP_SECONDS))
            wait = min(2 * wait, LONGEST_WAIT)


def _session(
    log: EventLog,
    store: PostgresStore,
    name: str,
    number: int,
    ends: Mapping[TopicPartition, int],
    rate: float | None,
    stopped: Callable[[], bool],
) -> None:
    with store.connection() as connection:
        version = next((each for each in find(connection, name) if each.number == number), None)
    if version is None:
        return
    most = (
        None if rate is None else max(1, int(rate))
    )  # in one step, so that no second has many more than that
    with closing(InUse(store, name, number)) as use:
        if not use.still():
            return
        projector = Projector(
            by_its_code(version),
            log,
            store,
            load_contract(),
            most=most,
            budget=FailureBudget(known=_known_failures(store, name)),
        )
        with closing(projector):
            while not stopped() and _goes_on(use) and projector.lag(ends) > 0:
                begun = time.monotonic()
                events = projector.step(STEP_SECONDS).events
                if rate is not None:
                    _rest_until(begun + events / rate, use, stopped)
            projector.flush()


def _known_failures(store: PostgresStore, name: str) -> int:
    """Events that handlers refused in the version that has most of them: a rebuild meets them again, maybe in one batch."""
    letters = dead_letters.find(store, name, discarded=True)
    found = Counter(
        each.version for each in letters if each.record is not None and each.error != EventUnfit.__name__
    )
    return max(found.values(), default=0)


def _goes_on(use: InUse) -> bool:
    return use.still() and use.state is State.FILLING


def _rest_until(moment: float, use: InUse, stopped: Callable[[], bool]) -> None:
    """In small steps: who pauses or cancels does not wait for it."""
    while (rest := moment - time.monotonic()) > 0 and not stopped() and _goes_on(use):
        time.sleep(min(rest, STEP_SECONDS))
