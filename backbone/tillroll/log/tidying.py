"""Small batches put together: what to join, and the body of the joined batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from tillroll.log.encode import encode_rows
from tillroll.log.port import Batch
from tillroll.log.records import read_records

__all__ = ["Run", "runs_of_small", "together"]

JOINED_BYTES = 1_000_000  # of a joined body at most: what a reader has to fetch for one event of it
FEWEST = 8  # rows that are worth a rewrite


class Run(NamedTuple):
    """Rows of one partition that follow each other: from base offset `first` to base offset `last`."""

    partition_id: int
    first: int
    last: int
    rows: int


def runs_of_small(rows: Iterable[tuple[int, int, int, int]]) -> Iterator[Run]:
    """Runs worth joining among small rows (partition id, base offset, count, bytes), sorted."""
    open_: list[tuple[int, int, int, int]] = []
    for row in rows:
        if open_ and not _follows(open_, row):
            yield from _worth(open_)
            open_ = []
        open_.append(row)
    yield from _worth(open_)


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


def _follows(run: Sequence[tuple[int, int, int, int]], row: tuple[int, int, int, int]) -> bool:
    partition, base, count, _ = run[-1]
    fits = sum(size for *_, size in run) + row[3] <= JOINED_BYTES
    return row[0] == partition and row[1] == base + count and fits


def _worth(run: Sequence[tuple[int, int, int, int]]) -> Iterator[Run]:
    if len(run) >= FEWEST:
        yield Run(run[0][0], run[0][1], run[-1][1], len(run))
