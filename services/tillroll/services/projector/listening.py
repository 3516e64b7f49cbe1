"""What a run of projectors tells about itself, and who listens."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tillroll.errors import TillrollError

__all__ = ["Done", "Listener", "Outage", "Silent"]


@dataclass(frozen=True, slots=True)
class Done:
    """What one worker did: events read and committed, dead letters written, seconds it took.

    error: why it gave up; None when it was through or was asked to stop.
    """

    name: str
    events: int = 0
    dead: int = 0
    seconds: float = 0.0
    error: BaseException | None = None

    def and_then(self, later: "Done") -> "Done":
        """Both together, `later` being what was done after this under the same name."""
        seconds = self.seconds + later.seconds
        return Done(
            self.name, self.events + later.events, self.dead + later.dead, seconds, later.error or self.error
        )

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds else 0.0


class Listener(Protocol):
    """Who wants to know how it goes. Called from several threads."""

    def noted(self, note: str) -> None:
        """Something about a projection that its owner should know."""
        ...

    def started(self, name: str, behind: int) -> None:
        """A projection begins, that many offsets behind the end."""
        ...

    def progressed(self, name: str, events: int, dead: int) -> None:
        """That many more events are committed, that many more dead letters written."""
        ...

    def waiting(self, error: TillrollError) -> None:
        """The log or the store is down, or has no room; the first worker noticed."""
        ...

    def resumed(self, seconds: float) -> None:
        """All workers go on, that long after `waiting`."""
        ...

    def stopped(self, done: Done) -> None:
        """A worker is through, or gave up."""
        ...


class Silent:
    """A Listener that does nothing; derive from it to hear only some things."""

    def noted(self, note: str) -> None:
        """See Listener."""

    def started(self, name: str, behind: int) -> None:
        """See Listener."""

    def progressed(self, name: str, events: int, dead: int) -> None:
        """See Listener."""

    def waiting(self, error: TillrollError) -> None:
        """See Listener."""

    def resumed(self, seconds: float) -> None:
        """See Listener."""

    def stopped(self, done: Done) -> None:
        """See Listener."""


class Outage:
    """Tells the listener once that something is down and once that it is over, however many workers wait."""

    def __init__(self, listener: Listener, clock: Callable[[], float] = time.monotonic):
        self._listener, self._clock = listener, clock
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._since = 0.0

    def begins(self, name: str, error: TillrollError) -> None:
        """`name` cannot go on."""
        with self._lock:
            if not self._waiting:
                self._since = self._clock()
                self._listener.waiting(error)
            self._waiting.add(name)

    def ends(self, name: str) -> None:
        """`name` goes on."""
        if name in self._waiting and self._left(name):
            self._listener.resumed(self._clock() - self._since)

    def gives_up(self, name: str) -> None:
        """`name` has stopped waiting without going on."""
        self._left(name)

    def _left(self, name: str) -> bool:
        """Whether `name` was the last one that waited."""
        with self._lock:
            waited = name in self._waiting
            self._waiting.discard(name)
            return waited and not self._waiting
