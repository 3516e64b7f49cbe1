"""A rebuild: the next version of a projection, filled beside the live one."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tillroll.contract.registry import load_contract
from tillroll.errors import Unavailable, UsageError
from tillroll.heap import keep_freed
from tillroll.log import extent
from tillroll.log.port import EventLog, Positions, TopicPartition
from tillroll.projection.code import Code, changes, code_of
from tillroll.projection.declare import Projection
from tillroll.services.projector.listening import Outage, Silent
from tillroll.services.projector.workers import BRIEF_SECONDS, Admitting, Shared
from tillroll.services.replay.filling import Place, fill, patiently
from tillroll.services.replay.pace import Pace
from tillroll.services.replay.processes import Here, Processes
from tillroll.store import dead_letters
from tillroll.store.locks import office
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import Progress, State, Version, create, find, highest, mark, noted

__all__ = ["Filled", "Limits", "Rebuild"]

LOOK_SECONDS = 0.5
NEAR = 10_000  # events behind the end at which the projectors that follow may take over
ROUNDS = 5  # how often the end of the log is looked at anew, at most


@dataclass(frozen=True)
class Limits:
    """What a rebuild leaves out on purpose. start: where it begins, by partition; only: key column to value, as text.

    told: the text that `start` was given as.
    """

    start: Positions = field(default_factory=dict)
    told: str = ""
    only: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """To be kept with the version; empty where nothing is left out."""
        return ({"from": self.told} if self.told else {}) | ({"only": dict(self.only)} if self.only else {})


@dataclass(frozen=True, slots=True)
class Filled:
    """How a rebuild ended. state: CANDIDATE, PAUSED, or None = cancelled."""

    projection: str
    version: int
    state: State | None
    events: int
    seconds: float
    dead_letters: int
    behind: int


class Rebuild:
    """One rebuild of `projection`, as the code at hand declares it.

    processes: how many fill; rate: events a second of all together, None = as quick as it goes.
    told: hears how far it is, now and then.
    """

    def __init__(
        self,
        place: Place,
        projection: type[Projection],
        limits: Limits | None = None,
        processes: int = 1,
        rate: float | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ):
        self._place, self._projection, self._limits = place, projection, limits or Limits()
        self._processes, self._rate, self._told = processes, rate, told
        self._contract = load_contract()
        self._admission: Admitting | None = None

    def run(self) -> Filled:
        """Fill the next version, or go on with one whose filling was interrupted.

        Raises UsageError when one is at work, or another one is in the way; what ends a projection.
        """
        keep_freed()
        begun = time.monotonic()
        with self._place.opened() as (log, store):
            log.create_topics(self._contract.topics.values())
            store.bind(log.identity)
            with office(store, self._projection.name), self._admitting(log):
                candidate, start = self._begin(store)
                events = self._to_the_end(log, store, candidate, start)
                return patiently(lambda: self._end(log, store, candidate, events, time.monotonic() - begun))

    # --- the version --------------------------------------------------------------------------------

    def _begin(self, store: PostgresStore) -> tuple[type[Projection], Positions]:
        """The version to fill, one that was interrupted or a new one, and where it begins."""
        name, code = self._projection.name, code_of(self._projection)
        with store.connection() as connection:
            versions = find(connection, name)
            if not versions:
                raise UsageError(
                    f"{name} has no version yet; `tillroll project {name} --once` makes the first one"
                )
            for version in versions:
                if version.state in (State.FILLING, State.PAUSED, State.CANDIDATE):
                    self._refuse_other(version, code)
                    mark(connection, name, version.number, State.FILLING)
                    return self._projection.numbered(version.number, self._limits.only), version.start
            number = max(self._projection.version, highest(connection, name) + 1)
            found = self._projection.numbered(number, self._limits.only)
            create(connection, found, State.FILLING, self._limits.as_json(), self._limits.start)
        return found, self._limits.start

    def _refuse_other(self, version: Version, code: Code) -> None:
        name, number = version.name, version.number
        if version.code is not None and not version.code.same_rows(code):
            told = "; ".join(changes(version.code.rows, code.rows))
            raise UsageError(
                f"version {number} of {name} is being filled by other code ({told}); `tillroll replay cancel {name}` "
                "takes it away, then rebuild again"
            )
        if dict(version.limits) != self._limits.as_json():
            raise UsageError(
                f"version {number} of {name} is being filled with other --from or --key ({_told(version.limits)}); give "
                f"the same, or `tillroll replay cancel {name}` first"
            )

    # --- filling ------------------------------------------------------------------------------------

    @contextmanager
    def _admitting(self, log: EventLog) -> Iterator[None]:
        """Admission goes along where the log needs it."""
        if log.settles_duplicates:
            yield
            return
        listener = Silent()
        shared = Shared(
            self._place.opened,
            self._contract,
            listener,
            Outage(listener),
            threading.Event(),
            threading.Semaphore(),
            step=BRIEF_SECONDS,
        )
        self._admission = worker = Admitting(shared)
        worker.start()
        try:
            yield
        finally:
            shared.stop.set()
            worker.wait()

    def _to_the_end(
        self, log: EventLog, store: PostgresStore, candidate: type[Projection], begin: Positions
    ) -> int:
        """Fill up to the end of the log, which moves on meanwhile; how many events that were, earlier runs included."""
        for _ in range(ROUNDS):
            ends = patiently(lambda: extent.ends(log, candidate.topics()))
            start = patiently(partial(_starts, log, begin, ends))
            pace = Pace(candidate.name, candidate.version, extent.between(start, ends))
            self._fill(log, store, candidate, start, ends, pace)
            if patiently(lambda: self._is_enough(log, store, candidate)):
                break
        return patiently(lambda: extent.between(start, store.positions(candidate)))

    def _is_enough(self, log: EventLog, store: PostgresStore, candidate: type[Projection]) -> bool:
        """Whether the end is near, or filling is not wanted any more."""
        if _state(store, candidate) is not State.FILLING:
            return True
        return extent.between(store.positions(candidate), extent.ends(log, candidate.topics())) <= NEAR

    def _fill(
        self,
        log: EventLog,
        store: PostgresStore,
        candidate: type[Projection],
        start: Positions,
        ends: Positions,
        pace: Pace,
    ) -> None:
        several, rate = self._processes > 1, self._rate / self._processes if self._rate else None
        told = (candidate.name, candidate.version, dict(ends), rate)
        ours = [nullcontext((log, store))]

        def opened() -> AbstractContextManager[tuple[EventLog, PostgresStore]]:
            """Ours, which are open already; after an outage new ones, for which an embedded server is started anew."""
            return ours.pop() if ours else self._place.opened()

        with (
            Processes(self._processes, fill, self._place.opened, *told)
            if several
            else Here(fill, opened, *told) as those
        ):
            while those.are_at_work(LOOK_SECONDS):
                self._look(store, candidate, start, pace)
                if self._admission is not None and self._admission.done.error is not None:
                    raise self._admission.done.error  # nobody could read on
        self._look(store, candidate, start, pace)

    def _look(self, store: PostgresStore, candidate: type[Projection], start: Positions, pace: Pace) -> None:
        try:
            done = extent.between(start, store.positions(candidate))
            dead = dead_letters.count(store).get((candidate.name, candidate.version), 0)
            progress = pace.at(done, dead)
            noted(store, progress)
        except Unavailable:  # those who fill wait for it
            return
        self._told(progress)

    def _end(
        self, log: EventLog, store: PostgresStore, candidate: type[Projection], events: int, seconds: float
    ) -> Filled:
        state = _state(store, candidate)
        if state is State.FILLING:
            state = State.CANDIDATE
            with store.connection() as connection:
                mark(connection, candidate.name, candidate.version, state)
        behind = extent.between(store.positions(candidate), extent.ends(log, candidate.topics()))
        dead = dead_letters.count(store).get((candidate.name, candidate.version), 0)
        return Filled(candidate.name, candidate.version, state, max(0, events), seconds, dead, behind)


def _state(store: PostgresStore, candidate: type[Projection]) -> State | None:
    with store.connection() as connection:
        versions = find(connection, candidate.name)
    return next((each.state for each in versions if each.number == candidate.version), None)


def _starts(log: EventLog, begin: Positions, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    return {**log.start_offsets(each for each in origins if each not in begin), **begin}


def _told(limits: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in limits.items()) or "everything"
