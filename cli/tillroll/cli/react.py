"""`tillroll react`."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, say, show
from tillroll.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from tillroll.reactor import Reactor
    from tillroll.services.reacting.runner import Reacted

__all__ = ["react"]

IDLE_SECONDS = 0.25  # between two looks at the log when there was nothing new
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts while the log or the store is down


@click.group()
def react() -> None:
    """Act on what happens: live events only, each noted in a ledger; replay never acts."""


@react.command("file")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--on", "records", multiple=True, required=True, metavar="EVENT", help="Event type to act on; repeatable."
)
@click.option("--name", default="file", show_default=True, help="Which ledger to keep; one process each.")
@click.option("--once", is_flag=True, help="End when the present end of the log is reached.")
@click.option("--replay", is_flag=True, help="Read the whole log again first; nothing is acted on twice.")
@with_options("log", "store")
def file_(given: Given, path: Path, records: tuple[str, ...], name: str, once: bool, replay: bool) -> None:
    """Append every new event to PATH as a line of JSON, exactly once.

    What was in the log when the reactor was first started is the past, and is not acted on. Runs until stopped.
    """
    from tillroll.reactor import FileReactor

    known = given.contract.records
    for record in records:
        if record not in known:
            raise UsageError(f"there is no event type {record!r}; `tillroll schema list` has them")
    with _stopped_by_signals() as stop:
        show(given, _run(given, FileReactor(name, path, records), stop, once, replay))


@dataclass(frozen=True)
class Summary:
    """What a reactor did. passed: replayed, or acted on before; malformed: records that are no event."""

    acted: int
    passed: int
    malformed: int

    def text(self) -> Iterator[str]:
        """See Result."""
        yield (
            f"acted on {count(self.acted, 'event')}, passed over {self.passed:,} replayed or done before, "
            f"{self.malformed:,} malformed"
        )


def _run(given: Given, reactor: "Reactor", stop: threading.Event, once: bool, replay: bool) -> Summary:
    """In sessions, until it is stopped; waits while the log or the store is down, but not at the very beginning."""
    from tillroll.services.reacting.runner import Reacted

    found, wait, waiting, first = Reacted(), FIRST_WAIT, False, True
    while True:
        try:
            with given.parts() as (log, store):
                for step in _session(given, reactor, log, store, stop, once, replay and first):
                    found, first, wait = found + step, False, FIRST_WAIT
                    if waiting:
                        waiting = False
                        say("going on")
            break
        except Unavailable as error:
            if first:
                raise
            if not waiting:
                waiting = True
                say(f"waiting: {error}")
            if stop.wait(wait):
                break
            wait = min(2 * wait, LONGEST_WAIT)
    return Summary(found.acted, found.passed, found.malformed)


def _session(
    given: Given, reactor: "Reactor", log: Any, store: Any, stop: threading.Event, once: bool, replay: bool
) -> "Iterator[Reacted]":
    from tillroll.services.reacting.runner import Reacted, ReactorRunner

    log.create_topics(given.contract.topics.values())
    runner = ReactorRunner(reactor, log, store, given.contract)
    try:
        if replay:
            runner.replay()
        while not stop.is_set():
            step = runner.step()
            yield step
            if step == Reacted():
                if once:
                    return
                stop.wait(IDLE_SECONDS)
    finally:
        runner.close()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM; the second one ends the process at once."""
    stop = threading.Event()

    def end(number: int, frame: Any) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
