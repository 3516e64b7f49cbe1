"""The long-running process: one thread per projection, one for admission and one to tidy where the log needs them.

Each worker has a log and a store of its own. When one of the two is down, the worker drops both and opens
new ones until it can go on; nothing is skipped, since positions are committed with the rows.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from tillroll.contract.registry import Contract
from tillroll.errors import PositionOutOfRange, TillrollError, Unavailable
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.services.admission.admitter import Admitter
from tillroll.services.projector.listening import Done, Listener, Outage, Silent
from tillroll.services.projector.projector import COMMIT_EVENTS, Progress, Projector
from tillroll.store.postgres import PostgresStore

__all__ = ["ADMISSION", "TIDYING", "Open", "Run", "project_once"]

ADMISSION, TIDYING = "admission", "tidying the log"
"""Names of the workers that are no projections."""

STEP_SECONDS = 0.5  # how long a step waits for events; a wish to stop is noticed that late
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts while the log or the store is down
TIDY_SECONDS = 30.0  # between two tidyings of the log; each puts thousands of rows together
OFFICE_SECONDS = 1.0  # how often to ask whether the office of admission is free
FEWEST_A_COMMIT = 50_000  # events; workers share the memory for what is not committed yet, down to this

Open = Callable[[], AbstractContextManager[tuple[EventLog, PostgresStore]]]
"""Opens a log and a store for one worker, and closes them after it."""


@runtime_checkable
class Tidiable(Protocol):
    """A log that wants its small batches put together now and then."""

    def tidy(self) -> int:
        """Put some together; how many rows went away."""
        ...


class Run:
    """One run of projectors, of the distinct `projections`, at least one.

    once: up to where the log ends now, instead of until `stop`. admit: run admission along if the log needs it.
    """

    def __init__(
        self,
        open_parts: Open,
        contract: Contract,
        projections: Sequence[type[Projection]],
        listener: Listener | None = None,
        *,
        once: bool = False,
        admit: bool = True,
    ):
        self._projections, self._once, self._admit = projections, once, admit
        told = listener or Silent()
        # Catching up is bound by processors and memory: no more at a time than there are processors. Following
        # waits most of the time, and nobody may wait for another's turn.
        self._at_once = min(len(projections), os.cpu_count() or 1) if once else len(projections)
        turns = threading.Semaphore(self._at_once)
        self._shared = _Shared(open_parts, contract, told, Outage(told), threading.Event(), turns)

    def stop(self) -> None:
        """Ask every worker to commit what is folded and to end. Returns at once; fit for a signal handler."""
        self._shared.stop.set()

    def run(self) -> list[Done]:
        """Project; returns what each worker did, projections first.

        Waits while the log or the store is down, but not at the very beginning: then it raises what they
        raise. Any other error of a projection ends that projection (`Done.error`), not the others.
        """
        projecting, helping = self._prepare()
        for worker in (*helping, *projecting):
            worker.start()
        for worker in projecting:
            worker.wait()
        self.stop()
        for worker in helping:
            worker.wait()
        return [worker.done for worker in (*projecting, *helping)]

    def _prepare(self) -> tuple[list["_Worker"], list["_Worker"]]:
        """Make what is missing, see how far there is to go, and set up the workers: projections, helpers."""
        shared = self._shared
        with shared.open() as (log, store):
            log.create_topics(shared.contract.topics.values())
            store.bind(log.identity)
            for projection in self._projections:
                store.install(projection)
            positions = {projection: store.positions(projection) for projection in self._projections}
            ends = {projection: _ends(log, projection) for projection in self._projections}
            for projection in self._projections:
                _refuse_lost(projection, positions[projection], ends[projection])
            behind = {p: _behind(positions[p], ends[p]) for p in self._projections}
            helping = self._helpers(log)
        size = max(FEWEST_A_COMMIT, COMMIT_EVENTS // self._at_once)
        goals = ends if self._once else {}
        projecting = [_Projecting(shared, p, behind[p], goals.get(p), size) for p in self._projections]
        return [*projecting], helping

    def _helpers(self, log: EventLog) -> list["_Worker"]:
        helpers: list[_Worker] = []
        if self._admit and not log.settles_duplicates:
            helpers.append(_Admitting(self._shared))
        if not self._once and isinstance(log, Tidiable):
            helpers.append(_Tidying(self._shared))
        return helpers


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all workers of a run have in common."""

    open: Open
    contract: Contract
    listener: Listener
    outage: Outage
    stop: threading.Event
    turns: threading.Semaphore


class _Worker:
    """A thread that works in sessions: with a log and a store, until one of them is down."""

    def __init__(self, shared: _Shared, name: str):
        self.shared, self.done = shared, Done(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        """Until the thread is through; in small steps, so that signals are handled in between."""
        while self._thread.is_alive():
            self._thread.join(0.2)

    def session(self, log: EventLog, store: PostgresStore) -> None:
        """Work until there is nothing left to do or a stop is wanted."""
        raise NotImplementedError

    def goes_on(self) -> bool:
        """Whether no stop is wanted."""
        return not self.shared.stop.is_set()

    def note(self, progress: Progress) -> None:
        """Count a step that went well."""
        self.shared.outage.ends(self.done.name)
        if progress.events:
            done = self.done
            self.done = replace(done, events=done.events + progress.events, dead=done.dead + progress.dead)
            self.shared.listener.progressed(done.name, progress.events, progress.dead)

    def _run(self) -> None:
        start, error = time.monotonic(), None
        try:
            self._in_sessions()
        except Exception as found:  # noqa: BLE001 - nobody stands above a thread to take its error
            error = found
        self.shared.outage.gives_up(self.done.name)
        self.done = replace(self.done, seconds=time.monotonic() - start, error=error)
        self.shared.listener.stopped(self.done)

    def _in_sessions(self) -> None:
        wait = FIRST_WAIT
        while self.goes_on():
            before = self.done.events
            try:
                with self.shared.open() as (log, store):
                    self.session(log, store)
                return
            except Unavailable as error:
                self.shared.outage.begins(self.done.name, error)
            wait = FIRST_WAIT if self.done.events > before else min(2 * wait, LONGEST_WAIT)
            self.shared.stop.wait(wait)


class _Projecting(_Worker):
    """Runs a projector when it is its turn. behind: offsets to read; ends: where to end, None = follow the log."""

    def __init__(
        self,
        shared: _Shared,
        projection: type[Projection],
        behind: int,
        ends: Mapping[TopicPartition, int] | None,
        commit_events: int,
    ):
        super().__init__(shared, projection.name)
        self._projection, self._behind, self._ends = projection, behind, ends
        self._commit_events = commit_events

    def _run(self) -> None:
        with self.shared.turns:
            self.shared.listener.started(self.done.name, self._behind)
            super()._run()

    def session(self, log: EventLog, store: PostgresStore) -> None:
        projector = Projector(self._projection, log, store, self.shared.contract, self._commit_events)
        with _closing(projector.close):
            while self.goes_on() and self._has_more(projector):
                self.note(projector.step(STEP_SECONDS))
            self.note(projector.flush())

    def _has_more(self, projector: Projector) -> bool:
        return self._ends is None or projector.lag(self._ends) > 0


class _Admitting(_Worker):
    """Runs admission for as long as projectors need it; its failure ends them, who could read no further."""

    def __init__(self, shared: _Shared):
        super().__init__(shared, ADMISSION)

    def session(self, log: EventLog, store: PostgresStore) -> None:
        admitter = Admitter(log, store, self.shared.contract)
        with _closing(admitter.close):
            while self.goes_on():
                judged = admitter.step(STEP_SECONDS)
                self.note(Progress(judged or 0))
                if judged is None:  # another process is in office
                    self.shared.stop.wait(OFFICE_SECONDS)

    def _run(self) -> None:
        super()._run()
        self.shared.stop.set()


class _Tidying(_Worker):
    """Has the log put its small batches together."""

    def __init__(self, shared: _Shared):
        super().__init__(shared, TIDYING)

    def session(self, log: EventLog, store: PostgresStore) -> None:
        assert isinstance(log, Tidiable)
        while self.goes_on():
            log.tidy()
            self.note(Progress())
            self.shared.stop.wait(TIDY_SECONDS)


@contextmanager
def _closing(close: Callable[[], None]) -> Iterator[None]:
    """Close at the end; after an error, what else goes wrong in closing is of no interest."""
    try:
        yield
    except BaseException:
        with suppress(TillrollError):
            close()
        raise
    close()


def _ends(log: EventLog, projection: type[Projection]) -> dict[TopicPartition, int]:
    origins = [
        TopicPartition(topic, n) for topic in projection.topics() for n in range(log.partitions(topic))
    ]
    return {origin: log.end_offset(origin) for origin in origins}


def _refuse_lost(
    projection: type[Projection], positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> None:
    """Refuse a log that ends before the positions: a topic was made anew, or the log restored from a backup.

    New events would take the offsets that the rows already stand for, and never be read.
    """
    for origin, position in positions.items():
        if origin in ends and position > ends[origin]:
            raise PositionOutOfRange(
                f"{projection.name} stands at offset {position} of {origin.topic}/{origin.partition}, but the log ends "
                f"at {ends[origin]}: it has lost events, or the topic was made anew; restore it, or project it into an "
                "empty store"
            )


def _behind(positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> int:
    return sum(max(0, end - positions.get(origin, 0)) for origin, end in ends.items())


def project_once(
    log: EventLog, store: PostgresStore, contract: Contract, projections: Sequence[type[Projection]]
) -> Done:
    """Bring `projections` up to the present end of `log`; what they did together.

    Raises what the first failing one raised.
    """
    start = time.monotonic()
    results = Run(lambda: nullcontext((log, store)), contract, projections, once=True).run()
    for done in results:
        if done.error is not None:
            raise done.error
    projected = results[: len(projections)]
    events, dead = sum(done.events for done in projected), sum(done.dead for done in projected)
    return Done("all", events, dead, time.monotonic() - start)
