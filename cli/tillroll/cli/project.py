"""`tillroll project`."""

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, show, table
from tillroll.cli.progress import Meter, meter
from tillroll.errors import TillrollError

if TYPE_CHECKING:
    from tillroll.services.projector.listening import Done
    from tillroll.services.projector.runner import Run

__all__ = ["Projected", "project"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--once", is_flag=True, help="End when the present end of the log is reached.")
@click.option(
    "--no-admission", is_flag=True, help="Do not look for duplicates here; another process does (Kafka only)."
)
@with_options("log", "store", "projections")
def project(given: Given, names: tuple[str, ...], once: bool, no_admission: bool) -> None:
    """Project the log into read models, of all projections or those named.

    Runs until stopped (Ctrl-C or SIGTERM), waits while the log or the store is down, and goes on where it was.
    Several processes share the work.
    """
    from tillroll.services.projector.runner import Run

    with meter() as display:
        run = Run(
            given.parts,
            given.contract,
            given.kept_up(names),
            _Display(display, once, given.verbose),
            once=once,
            admit=not no_admission,
        )
        with _stopped_by_signals(run):
            results = run.run()
    show(given, Projected.of(results))


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one projection.

    state: ended, failed, or stalled: it did not fail itself, but could read no further since admission failed.
    """

    projection: str
    events: int
    dead_letters: int
    events_per_second: int
    state: str
    error: str | None

    @classmethod
    def of(cls, done: "Done", stalled: bool) -> "Row":
        """What `done` says; stalled: admission failed."""
        state = "failed" if done.error else "stalled" if stalled else "ended"
        error = _told(done.error) if done.error else None
        return cls(done.name, done.events, done.dead, round(done.rate), state, error)


@dataclass(frozen=True)
class Projected:
    """The summary of a run."""

    projections: list[Row]

    @classmethod
    def of(cls, results: "list[Done]") -> "Projected":
        """The summary of what the workers did; those that are no projections are part of it only if they failed."""
        from tillroll.services.projector.runner import ADMISSION, TIDYING

        told = [done for done in results if done.name not in (ADMISSION, TIDYING) or done.error]
        stalled = any(done.name == ADMISSION and done.error for done in results)
        return cls([Row.of(done, stalled) for done in told])

    @property
    def exit_code(self) -> int:
        """1 when a projection gave up."""
        return int(any(row.error for row in self.projections))

    def text(self) -> Iterator[str]:
        """See Result."""
        rows = [
            (r.projection, r.state, r.events, r.dead_letters, r.events_per_second) for r in self.projections
        ]
        yield from table(("projection", "state", "events", "dead letters", "events/s"), rows)


class _Display:
    """A Listener that shows on a meter."""

    def __init__(self, display: Meter, once: bool, verbose: bool):
        self._meter, self._once, self._verbose = display, once, verbose
        self._projections: set[str] = set()

    def noted(self, note: str) -> None:
        self._meter.say(note)

    def started(self, name: str, behind: int) -> None:
        self._projections.add(name)
        self._meter.begin(name, behind if self._once else None, "events")

    def progressed(self, name: str, events: int, dead: int) -> None:
        if name in self._projections:
            self._meter.advance(name, events)
        if dead:
            self._meter.say(
                f"{name}: {count(dead, 'event')} could not be applied; see `tillroll dead-letters list {name}`"
            )

    def waiting(self, error: TillrollError) -> None:
        self._meter.say(f"waiting: {error}")

    def resumed(self, seconds: float) -> None:
        self._meter.say(f"going on after {seconds:.1f} s")

    def stopped(self, done: "Done") -> None:
        if done.name in self._projections:
            self._meter.end(done.name)
        if done.error:
            self._meter.say(f"{done.name} stopped: {_told(done.error)}")
            if self._verbose and not isinstance(done.error, TillrollError):
                traceback.print_exception(done.error)


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, TillrollError) else f"unexpected {type(error).__name__}: {text}"


@contextmanager
def _stopped_by_signals(run: "Run") -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the run cleanly, the second one at once."""

    def stop(number: int, frame: Any) -> None:
        run.stop()
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
