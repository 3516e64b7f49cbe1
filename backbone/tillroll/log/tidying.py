"""Small batches put together: what to join, and the body of the joined batch."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from tillroll.log.encode import encode_rows
from tillroll.log.port import Batch
from tillroll.log.records import read_records

__all__ = ["Run", "runs_of_small", "settled", "together"]

JOINED_BYTES = 1_000_000  # of a joined body at most: what a reader has to fetch for one event of it
FEWEST = 8  # rows that are worth a rewrite


class Run(NamedTuple):
    """Rows of one partition that follow each other: from base offset `first` to base offset `last`."""

    partition_id: int
    first: int
    last: int
    rows: int


Row = tuple[int, int, int, int]
"""A small row: partition id, base offset, count, bytes."""


def runs_of_small(rows: Iterable[Row]) -> Iterator[Run]:
    """Runs worth joining among small rows, sorted."""
    for run in _runs(rows):
        if len(run) >= FEWEST:
            yield Run(run[0][0], run[0][1], run[-1][1], len(run))


def settled(rows: Iterable[Row], tail: int, more: bool) -> int:
    """The offset before which later rows change nothing, once the runs among `rows` are joined.

    rows: the small ones of one partition up to `tail`, sorted; more: there may be others after them. A run ends
    for good at a row that is not small, at a gap, or when it is full; only one that reaches the end can still grow.
    """
    last = deque(_runs(rows), maxlen=1)
    if not last:
        return tail
    (run,) = last
    _, base, count, _ = run[-1]
    return run[0][1] if more or base + count == tail else tail


def together(batches: Sequence[Batch]) -> bytes:
    """One body of the records of consecutive `batches`; deltas count from the first batch's offset and time."""
    first = batches[0]
    rows = read_records(batches).select(
        timestamp_delta=pl.col("_recorded_at").dt.epoch("ms") - first.first_timestamp,
        offset_delta=pl.col("_offset") - first.base_offset,
        key="key",
        value="value",
    )
    return encode_rows(rows)


def _runs(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """`rows`, parted where one does not follow the other or where a joined body would be too large."""
    run: list[Row] = []
    size = 0
    for row in rows:
        if run and not (_follows(run[-1], row) and size + row[3] <= JOINED_BYTES):
            yield run
            run, size = [], 0
        run.append(row)
        size += row[3]
    if run:
        yield run


def _follows(last: Row, row: Row) -> bool:
    partition, base, count, _ = last
    return row[0] == partition and row[1] == base + count
