"""A history: frames of events, what was left out, and how far the reading has come."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from tillroll.services.histories.rejects import Rejects

__all__ = ["CHUNK", "EventFrame", "History", "Summary"]

CHUNK = 50_000
"""Rows of a frame at most: enough for the native encoder, a few dozen megabytes at the widest record."""

EventFrame = tuple[str, pl.DataFrame]
"""A record name, and events of it: the columns of its newest schema, envelope first."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a history became: events by record, source rows left out by reason."""

    name: str
    events: Mapping[str, int]
    rejected: Mapping[str, int]


@dataclass(slots=True)
class History:
    """One opened history.

    total, done: rows of the source, all and those that became events or rejects so far; for rate and ETA.
    """

    name: str
    total: int
    rejects: Rejects
    produce: Callable[["History"], Iterator[EventFrame]] = field(repr=False)
    done: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def frames(self) -> Iterator[EventFrame]:
        """All events, in frames of one record each, never empty. To be read once.

        A history's ids come from its natural keys, so reading it again (opened anew) gives the same events.
        """
        for record, frame in self.produce(self):
            self.events[record] += len(frame)
            yield record, frame

    @property
    def summary(self) -> Summary:
        """The counts so far."""
        return Summary(
            self.name, dict(sorted(self.events.items())), dict(sorted(self.rejects.counts.items()))
        )
