"""What a projection makes of a slice of history: every row of its views, without a store."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from tillroll.contract.registry import VOID, Contract
from tillroll.history.admitted import admitted_in
from tillroll.history.scan import Chunk, Slice, bounded, scan
from tillroll.log.port import EventLog
from tillroll.projection.declare import Projection
from tillroll.projection.evaluate import read_views
from tillroll.projection.failures import Failure, FailureBudget
from tillroll.projection.fold import Folded, Folder, combine
from tillroll.store.postgres import PostgresStore

__all__ = ["Fold", "History", "Past"]


@dataclass(frozen=True, slots=True)
class Past:
    """The rows of every view by its name, in no particular order, and what could not be applied."""

    views: Mapping[str, pl.DataFrame]
    failures: Sequence[Failure]
    events: int


@dataclass(frozen=True)
class History:
    """A log that is asked; store: the one whose verdicts on duplicates are taken, if it has them."""

    log: EventLog
    contract: Contract
    store: PostgresStore | None = None

    def scan(
        self, records: Iterable[str], slice_: Slice, only: Sequence[Sequence[bytes]] | None = None
    ) -> Iterator[Chunk]:
        """The events of these types in the slice; see history.scan. The end is that of now, however the log grows.

        Raises what the log raises, and PositionOutOfRange where it holds the beginning no longer.
        """
        wanted = {*records, VOID}
        ranges = bounded(self.log, self.contract.topics_of(wanted), slice_)
        ends = replace(slice_, stop={origin: stop for origin, (_, stop) in ranges.items()})
        admitted = admitted_in(self.log, self.contract, ranges, ends, self.store)
        return scan(self.log, self.contract, wanted, slice_, ranges, admitted, only)

    def nothing(self, projection: type[Projection]) -> Past:
        """The views before there was any event: no rows, the columns that they have."""
        return Past(read_views(projection, {}), (), 0)

    def past(self, projection: type[Projection], slice_: Slice | None = None) -> Past:
        """The rows that `projection` makes of the slice.

        Events that fail are left out and told; raises TooManyFailures where it is the handler that is wrong.
        """
        (past,) = self.pasts([projection], slice_)
        return past

    def pasts(self, projections: Sequence[type[Projection]], slice_: Slice | None = None) -> list[Past]:
        """The same of several projections, out of one reading of the log."""
        folds = [Fold(projection, self.contract) for projection in projections]
        wanted = {record for projection in projections for record in projection.records()}
        for chunk in self.scan(wanted, slice_ or Slice()):
            for each in folds:
                each.take(chunk)
        return [each.past() for each in folds]


SHARE = 0.5
"""Of events that may fail before it is the handler: who asks about the past changes nothing, and is told of failures."""


class Fold:
    """One projection over a whole history, chunk by chunk.

    Partial results are combined when they are of about one size, so each row is reduced few times.
    """

    def __init__(self, projection: type[Projection], contract: Contract):
        self._projection, self._folder = projection, Folder(projection(), contract)
        self._budget = FailureBudget(most=math.inf, share=SHARE)
        self._parts: list[tuple[int, Folded]] = []

    def take(self, chunk: Chunk) -> None:
        """Fold what the projection reads; raises TooManyFailures where it is the handler that is wrong."""
        frames = {
            record: frame for record, frame in chunk.decoded.frames.items() if record in self._folder.wanted
        }
        part = self._folder.fold(replace(chunk.decoded, frames=frames), chunk.batches)
        self._budget.spend(part.events, part.failures, self._projection.name)
        size = _rows(part)
        while self._parts and self._parts[-1][0] <= 2 * size:
            part = combine(self._projection, [self._parts.pop()[1], part])
            size = _rows(part)
        self._parts.append((size, part))

    def past(self) -> Past:
        """What all of it comes to."""
        folded = combine(self._projection, [part for _, part in self._parts])
        return Past(read_views(self._projection, folded.deltas), folded.failures, folded.events)


def _rows(folded: Folded) -> int:
    return sum(len(each.rows) + sum(map(len, each.moves.values())) for each in folded.deltas.values())
