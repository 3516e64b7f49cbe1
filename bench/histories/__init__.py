"""The histories that contenders fold. Each says what its events are and, by other means, what has to come out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

__all__ = ["CHUNK", "Chunk", "History", "sums"]

CHUNK = 100_000

Chunk = dict[str, pl.DataFrame]
"""Events by record: the columns of its newest schema, and `n`, an Int64 that orders the events of a history."""


@dataclass(frozen=True)
class History:
    """A repeatable history of one topic.

    chunk: (start, count) to the events of that stretch. facts: (record, events) to what a check needs of them:
    `n` and the contributions, a row per unit. expected: model name to (facts -> rows sorted by key).
    unit: what a rate counts. shape: how contenders without a model of tillroll's fold it (contenders/shapes.py).
    """

    name: str
    title: str
    topic: str
    shape: str
    chunk: Callable[[int, int], Chunk]
    facts: Callable[[str, pl.DataFrame], pl.DataFrame]
    expected: dict[str, Callable[[pl.DataFrame], pl.DataFrame]]
    records: tuple[str, ...]
    unit: str = "events"

    def chunks(self, events: int) -> Iterator[Chunk]:
        """All of it, in stretches."""
        for start in range(0, events, CHUNK):
            yield self.chunk(start, min(CHUNK, events - start))


def sums(facts: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """What a model of sums of `columns` and the latest time holds after `facts`, per sku and place."""
    folded = facts.group_by("sku", "location_id").agg(
        *(pl.col(name).sum() for name in columns), last_moved_at=pl.col("occurred_at").max()
    )
    return folded.sort("sku", "location_id")
