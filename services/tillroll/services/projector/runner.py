"""The long-running process: one thread per projection, one for admission and one to tidy where the log needs them.

Each worker has a log and a store of its own. When one of the two is down, the worker drops both and opens
new ones until it can go on; nothing is skipped, since positions are committed with the rows.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from tillroll.contract.registry import Contract
from tillroll.errors import DiskFull, PositionOutOfRange, Unavailable
from tillroll.heap import keep_freed
from tillroll.log import extent
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.services.projector.listening import Done, Listener, Outage, Silent
from tillroll.services.projector.projector import COMMIT_BYTES
from tillroll.services.projector.versions import Resolved, resolve
from tillroll.services.projector.workers import (
    ADMISSION,
    BRIEF_SECONDS,
    STEP_SECONDS,
    TIDYING,
    Admitting,
    Open,
    Projecting,
    Shared,
    Tidiable,
    Tidying,
    Worker,
)
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import PROJECTED, find

__all__ = ["ADMISSION", "TIDYING", "Open", "Run", "project_once"]

LOOK_SECONDS = 2.0  # between two looks for versions that came to be projected
WAIT_SECONDS = 0.2  # between two looks at that while every version is held by somebody else
TURN_SECONDS = 0.0005  # of a thread that follows, while others want theirs
LEAST_A_COMMIT = 16 << 20  # bytes; workers share the memory for what is not committed yet, down to this


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
        turns = threading.Semaphore(self._at_once if once else sys.maxsize)
        # Who follows waits for room on a full disk, too; who was to come to an end is told.
        outages = (Unavailable,) if once else (Unavailable, DiskFull)
        step = BRIEF_SECONDS if once else STEP_SECONDS
        self._shared = Shared(
            open_parts, contract, told, Outage(told), threading.Event(), turns, outages, step
        )
        self._lost: list[Done] = []
        self._lost_schemas = set[str]()

    def stop(self) -> None:
        """Ask every worker to commit what is folded and to end. Returns at once; fit for a signal handler."""
        self._shared.stop.set()

    def run(self) -> list[Done]:
        """Project; returns what each worker did, projections first; when following, versions that came later too.

        A version whose code cannot be run any more is among them, failed.

        Waits while the log or the store is down, but not at the very beginning: then it raises what they
        raise. Any other error of a projection ends that projection (`Done.error`), not the others.
        """
        keep_freed()
        with nullcontext() if self._once else _quick_turns():
            return self._run()

    def _run(self) -> list[Done]:
        projecting, helping = self._prepare()
        looked = time.monotonic()
        for worker in (*helping, *projecting):
            worker.start()
        while any(worker.is_at_work() for worker in projecting) or self._awaits(projecting):
            if not self._once and time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                projecting += self._newcomers(projecting)
        self.stop()
        for worker in helping:
            worker.wait()
        done = _by_name(worker.done for worker in projecting)
        return [*done, *self._lost, *(worker.done for worker in helping)]

    def _awaits(self, projecting: Sequence["Projecting"]) -> bool:
        """Whether a version that was let go of is to be taken up again; asked where nobody is at work."""
        latest = {worker.schema: worker for worker in projecting}
        let_go = any(worker.done.error is None for worker in latest.values())
        return let_go and not self._once and not self._shared.stop.wait(WAIT_SECONDS)

    def _newcomers(self, projecting: Sequence["Projecting"]) -> list["Projecting"]:
        """Workers, at work, for versions that came to be projected since; those that went end by themselves."""
        found = list[Projecting]()
        try:
            with self._shared.open() as (log, store):
                missing = self._missing(store, projecting)
                resolved = resolve(store, self._projections) if missing else Resolved()
                for projection, label in resolved.projections.items():
                    if projection.schema() in missing:
                        found.append(self._projecting(log, store, projection, label))
        except Unavailable:  # the workers say so
            return []
        left = missing - {worker.schema for worker in found}
        self._lost_schemas |= {s for s in left if {s, s.rpartition("_v")[0]} & resolved.lost.keys()}
        for worker in found:
            worker.start()
        return found

    def _missing(self, store: PostgresStore, projecting: Sequence["Projecting"]) -> set[str]:
        """Schemas of versions that are to be projected and have no worker, nor one that failed.

        A cheap look: to resolve a version is to parse its source, while which the other workers stand still.
        """
        names = {projection.name for projection in self._projections}
        with store.connection() as connection:
            wanted = {
                f"{version.name}_v{version.number}"
                for version in find(connection)
                if version.name in names and version.state in PROJECTED
            }
        taken = {each.schema for each in projecting if each.is_alive() or each.done.error is not None}
        return wanted - taken - self._lost_schemas

    def _prepare(self) -> tuple[list["Projecting"], list["Worker"]]:
        """Make what is missing, see how far there is to go, and set up the workers: projections, helpers."""
        shared = self._shared
        with shared.open() as (log, store):
            log.create_topics(shared.contract.topics.values())
            store.bind(log.identity)
            resolved = resolve(store, self._projections)
            for note in resolved.notes:
                shared.listener.noted(note)
            self._lost = [Done(label, error=error) for label, error in resolved.lost.items()]
            for done in self._lost:
                shared.listener.stopped(done)
            projecting = [self._projecting(log, store, *each) for each in resolved.projections.items()]
            return projecting, self._helpers(log)

    def _projecting(
        self, log: EventLog, store: PostgresStore, projection: type[Projection], label: str
    ) -> Projecting:
        """A worker for one version, if the log still has what it is to read next."""
        positions, ends = store.positions(projection), extent.ends(log, projection.topics())
        _refuse_lost(projection, positions, ends)
        size = max(LEAST_A_COMMIT, COMMIT_BYTES // self._at_once)
        behind = extent.between(positions, ends)
        return Projecting(self._shared, projection, behind, ends if self._once else None, size, label)

    def _helpers(self, log: EventLog) -> list["Worker"]:
        helpers: list[Worker] = []
        if self._admit and not log.settles_duplicates:
            helpers.append(Admitting(self._shared))
        if not self._once and isinstance(log, Tidiable):
            helpers.append(Tidying(self._shared))
        return helpers


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Threads give up the interpreter more often meanwhile.

    Whoever follows is woken by an answer of a few bytes. By default it then waits up to 5 ms for another thread's turn to
    end, longer than its own work takes: admission and projector of one process stand in each other's way.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _by_name(found: Iterable[Done]) -> list[Done]:
    """Of a version that was let go of and taken up again, both together."""
    out = dict[str, Done]()
    for done in found:
        out[done.name] = out[done.name].and_then(done) if done.name in out else done
    return list(out.values())


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
    projected = [done for done in results if done.name not in (ADMISSION, TIDYING)]
    events, dead = sum(done.events for done in projected), sum(done.dead for done in projected)
    return Done("all", events, dead, time.monotonic() - start)
