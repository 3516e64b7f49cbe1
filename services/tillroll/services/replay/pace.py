"""How quick a rebuild is, and when it will be through, with the spread of that."""

import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

from tillroll.store.versions import Progress

__all__ = ["Pace"]

PART_SECONDS = 2.0  # a rate is taken over that long
PARTS = 15  # rates that the spread is taken over


class Pace:
    """Counts along. `clock` in seconds."""

    def __init__(self, projection: str, version: int, goal: int, clock: Callable[[], float] = time.monotonic):
        self._projection, self._version, self._goal, self._clock = projection, version, goal, clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=PARTS + 1)

    def at(self, events: int, dead: int) -> Progress:
        """So many events are done now."""
        now = self._clock()
        if not self._marks or now - self._marks[-1][0] >= PART_SECONDS:
            self._marks.append((now, events))
        rates = self._rates()
        mean = None
        if rates:
            (first, before), (last, after) = self._marks[0], self._marks[-1]
            mean = (after - before) / (last - first)
        return Progress(
            self._projection, self._version, events, self._goal, dead, mean, min(rates, default=None),
            max(rates, default=None),
        )  # fmt: skip

    def _rates(self) -> list[float]:
        return [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(self._marks)]
