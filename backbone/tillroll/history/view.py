"""What a projection makes of a slice of history: every row of its views, without a store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.history.admitted import admitted_in
from tillroll.history.scan import Chunk, Slice, bounded, scan, topics_of
from tillroll.log.port import EventLog
from tillroll.projection.declare import VOID, Projection
from tillroll.projection.evaluate import read_views
from tillroll.projection.fold import Failure, FailureBudget, Folded, Folder, combine
from tillroll.store.postgres import PostgresStore

__all__ = ["History", "Past", "fold"]


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
        """The events of these types in the slice; see history.scan. The end is that of now."""
        wanted = {*records, VOID}
        ranges = bounded(self.log, topics_of(self.contract, wanted), slice_)
        ends = Slice(
            slice_.as_of,
            slice_.known_at,
            slice_.start,
            {origin: stop for origin, (_, stop) in ranges.items()},
        )
        admitted = admitted_in(self.log, self.contract, ranges, ends, self.store)
        return scan(self.log, self.contract, wanted, ends, admitted, only)

    def nothing(self, projection: type[Projection]) -> Past:
        """The views before there was any event: no rows, the columns that they have."""
        return Past(read_views(projection, {}), (), 0)

    def past(self, projection: type[Projection], slice_: Slice | None = None) -> Past:
        """The rows that `projection` makes of the slice.

        Events that fail are left out and told; raises TooManyFailures where it is the handler that is wrong.
        """
        folder = Folder(projection(), self.contract)
        folded = fold(projection, folder, self.scan(projection.records(), slice_ or Slice()))
        return Past(read_views(projection, folded.deltas), folded.failures, folded.events)


def fold(projection: type[Projection], folder: Folder, chunks: Iterable[Chunk]) -> Folded:
    """All of it as one; partial results of about one size are combined, so each row is reduced few times."""
    budget = FailureBudget()
    heap: list[tuple[int, Folded]] = []
    for chunk in chunks:
        part = folder.fold(chunk.decoded, chunk.batches)
        budget.spend(part.events, part.failures, projection.name)
        size = _rows(part)
        while heap and heap[-1][0] <= 2 * size:
            part = combine(projection, [heap.pop()[1], part])
            size = _rows(part)
        heap.append((size, part))
    return combine(projection, [part for _, part in heap])


def _rows(folded: Folded) -> int:
    return sum(len(each.rows) + sum(map(len, each.moves.values())) for each in folded.deltas.values())
