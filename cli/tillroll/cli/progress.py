"""How far a long piece of work is: bars with rate and ETA on a terminal, a plain line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tillroll.cli.output import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["Meter", "Plain", "bars_on", "meter"]

PLAIN_SECONDS = 5.0  # between plain lines


class Meter(Protocol):
    """Shows how far things are; several at once, by name. Safe to call from several threads."""

    def begin(self, name: str, total: int | None, unit: str) -> None:
        """`name` begins; total: how many of `unit` there will be, None if nobody knows."""
        ...

    def advance(self, name: str, by: int) -> None:
        """`name` is that much further."""
        ...

    def end(self, name: str) -> None:
        """`name` is through."""
        ...

    def say(self, message: str) -> None:
        """One line on stderr, past the bars."""
        ...


@contextmanager
def meter() -> Iterator[Meter]:
    """The meter that fits stderr."""
    if not sys.stderr.isatty():
        yield Plain(say)
        return
    from rich.console import Console

    with bars_on(Console(stderr=True)) as bars:
        yield bars


class Plain:
    """Lines such as ``tpcds: 40,000 of 230,000 rows, 51,000 rows/s, 4 s left``."""

    def __init__(self, out: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._out, self._clock, self._lock = out, clock, threading.Lock()
        self._works: dict[str, _Work] = {}

    def begin(self, name: str, total: int | None, unit: str) -> None:
        """See Meter."""
        with self._lock:
            now = self._clock()
            self._works[name] = _Work(total, unit, now, now)

    def advance(self, name: str, by: int) -> None:
        """See Meter."""
        with self._lock:
            work, now = self._works[name], self._clock()
            work.done += by
            if now - work.told >= PLAIN_SECONDS:
                work.told = now
                self._out(f"{name}: {work.line(now)}")

    def end(self, name: str) -> None:
        """See Meter."""

    def say(self, message: str) -> None:
        """See Meter."""
        self._out(message)


class _Work:
    def __init__(self, total: int | None, unit: str, start: float, told: float):
        self.total, self.unit, self.start, self.told, self.done = total, unit, start, told, 0

    def line(self, now: float) -> str:
        rate = self.done / max(now - self.start, 1e-9)
        so_far = f"{self.done:,} {self.unit}, {rate:,.0f} {self.unit}/s"
        if not self.total or not rate:
            return so_far
        left = max(0, self.total - self.done) / rate
        return f"{self.done:,} of {self.total:,} {self.unit}, {rate:,.0f} {self.unit}/s, {left:,.0f} s left"


@contextmanager
def bars_on(console: "Console") -> Iterator[Meter]:
    """Bars on this terminal."""
    with _progress(console) as progress:
        yield _Bars(progress)


class _Bars:
    """On a terminal."""

    def __init__(self, bars: "Progress"):
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, name: str, total: int | None, unit: str) -> None:
        self._tasks[name] = self._bars.add_task(name, total=total, unit=unit)

    def advance(self, name: str, by: int) -> None:
        self._bars.update(self._tasks[name], advance=by)

    def end(self, name: str) -> None:
        self._bars.stop_task(self._tasks[name])

    def say(self, message: str) -> None:
        self._bars.console.print(f"tillroll: {message}", markup=False, highlight=False, soft_wrap=True)


def _progress(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            of = f" of {task.total:,.0f}" if task.total is not None else ""
            seconds = task.finished_time or task.elapsed or 0.0
            rate = f", {task.completed / seconds:,.0f}/s" if seconds and task.completed else ""
            return Text(f"{task.completed:,.0f}{of} {task.fields['unit']}{rate}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(),
        console=console,
    )
