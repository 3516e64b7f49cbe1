"""The workers of a run: one thread per version of a projection, one for admission, one that tidies the log."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from tillroll.contract.registry import Contract
from tillroll.errors import TillrollError, Unavailable
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.services.admission.admitter import Admitter
from tillroll.services.projector.listening import Done, Listener, Outage
from tillroll.services.projector.projector import Progress, Projector
from tillroll.store.locks import InUse
from tillroll.store.postgres import PostgresStore

__all__ = [
    "ADMISSION",
    "BRIEF_SECONDS",
    "STEP_SECONDS",
    "TIDYING",
    "Admitting",
    "Open",
    "Projecting",
    "Shared",
    "Tidiable",
    "Tidying",
    "Worker",
]

ADMISSION, TIDYING = "admission", "tidying the log"
"""Names of the workers that are no projections."""

STEP_SECONDS = 0.5  # how long a step waits for events; a wish to stop is noticed that late
BRIEF_SECONDS = (
    0.05  # the same where somebody waits for the end of it all, and should not wait for a step too
)
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts while the log or the store is down
TIDY_SECONDS = 30.0  # between two tidyings of the log
TIDY_ROWS = 500  # at once: some ten milliseconds, for which those who project may have to wait
TIDY_RESTS, LONGEST_REST = 4.0, 0.2  # times as long as it took, before the next; seconds
OFFICE_SECONDS = 1.0  # how often to ask whether the office of admission is free

Open = Callable[[], AbstractContextManager[tuple[EventLog, PostgresStore]]]
"""Opens a log and a store for one worker, and closes them after it."""


@runtime_checkable
class Tidiable(Protocol):
    """A log that wants its small batches put together now and then."""

    def tidy(self, rows: int) -> Iterator[int]:
        """Put them together, at most so many at once; how many went away each time."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers of a run have in common. outages: errors that are waited out; step: seconds, see STEP_SECONDS."""

    open: Open
    contract: Contract
    listener: Listener
    outage: Outage
    stop: threading.Event
    turns: threading.Semaphore
    outages: tuple[type[TillrollError], ...] = (Unavailable,)
    step: float = STEP_SECONDS


class Worker(ABC):
    """A thread that works in sessions: with a log and a store, until one of them is down."""

    def __init__(self, shared: Shared, name: str):
        self.shared, self.done = shared, Done(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it is not through."""
        return self._thread.is_alive()

    def is_at_work(self) -> bool:
        """Whether it is not through after a moment's waiting, in which signals are handled."""
        self._thread.join(0.2)
        return self._thread.is_alive()

    def wait(self) -> None:
        """Until the thread is through."""
        while self.is_at_work():
            pass

    @abstractmethod
    def session(self, log: EventLog, store: PostgresStore) -> None:
        """Work until there is nothing left to do or a stop is wanted."""

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
        except BaseException as found:  # noqa: BLE001 - nobody stands above a thread to take its error
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
            except self.shared.outages as error:
                self.shared.outage.begins(self.done.name, error)
            wait = FIRST_WAIT if self.done.events > before else min(2 * wait, LONGEST_WAIT)
            self.shared.stop.wait(wait)


class Projecting(Worker):
    """Runs a projector when it is its turn.

    behind: offsets to read; ends: where to end, None = follow the log; label: the name it is told by.
    """

    def __init__(
        self,
        shared: Shared,
        projection: type[Projection],
        behind: int,
        ends: Mapping[TopicPartition, int] | None,
        commit_bytes: int,
        label: str,
    ):
        super().__init__(shared, label)
        self.schema = projection.schema()
        self._projection, self._behind, self._ends = projection, behind, ends
        self._commit_bytes = commit_bytes

    def _run(self) -> None:
        with self.shared.turns:
            self.shared.listener.started(self.done.name, self._behind)
            super()._run()

    def session(self, log: EventLog, store: PostgresStore) -> None:
        use = InUse(store, self._projection.name, self._projection.version)
        with closing(use):
            if not use.still():  # it is being compared or taken away
                return
            projector = Projector(self._projection, log, store, self.shared.contract, self._commit_bytes)
            with _closing(projector.close):
                while self.goes_on() and use.still() and self._has_more(projector):
                    self.note(projector.step(self.shared.step))
                self.note(projector.flush())

    def _has_more(self, projector: Projector) -> bool:
        return self._ends is None or projector.lag(self._ends) > 0


class Admitting(Worker):
    """Runs admission for as long as projectors need it; its failure ends them, who could read no further."""

    def __init__(self, shared: Shared):
        super().__init__(shared, ADMISSION)

    def session(self, log: EventLog, store: PostgresStore) -> None:
        admitter = Admitter(log, store, self.shared.contract)
        with _closing(admitter.close):
            while self.goes_on():
                judged = admitter.step(self.shared.step)
                self.note(Progress(judged or 0))
                if judged is None:  # another process is in office
                    self.shared.stop.wait(OFFICE_SECONDS)

    def _run(self) -> None:
        super()._run()
        self.shared.stop.set()


class Tidying(Worker):
    """Has the log put its small batches together, bit by bit, since those who project wait for it."""

    def __init__(self, shared: Shared):
        super().__init__(shared, TIDYING)

    def session(self, log: EventLog, store: PostgresStore) -> None:
        assert isinstance(log, Tidiable)
        while self.goes_on():
            self._tidy(log)
            self.shared.stop.wait(TIDY_SECONDS)

    def _tidy(self, log: Tidiable) -> None:
        begun = time.monotonic()
        for _ in log.tidy(TIDY_ROWS):
            self.note(Progress())
            if self.shared.stop.wait(min(LONGEST_REST, TIDY_RESTS * (time.monotonic() - begun))):
                return
            begun = time.monotonic()
        self.note(Progress())


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
