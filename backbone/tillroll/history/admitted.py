"""What of a log is passed over: repeats of an event_id, where the log itself lets them in.

The verdicts are admission's where a store has them, else the same ones found here by reading the ids: the
lowest offset of an id counts, whatever stands under it later is skipped, be it a duplicate or a conflict.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.errors import TopicMissing
from tillroll.history.scan import Admitted, Ranges, Slice, bounded, known, pieces
from tillroll.log import extent
from tillroll.log.ids import event_ids
from tillroll.log.port import Batch, EventLog, TopicPartition
from tillroll.log.records import read_records
from tillroll.store.admission import Verdicts
from tillroll.store.postgres import PostgresStore

__all__ = ["admitted_in"]

PATIENCE_SECONDS = 0.2
"""Between two looks at admission: one that has not moved in this time is not running."""


def admitted_in(
    log: EventLog, contract: Contract, ranges: Ranges, slice_: Slice, store: PostgresStore | None = None
) -> Admitted:
    """What to pass over in these offsets of `log`.

    store: its verdicts are taken if they are of this log and reach the end of `ranges`. Otherwise every topic of
    the contract is read once, as admission would: 8 bytes of memory an event, and a second reading where ids
    repeat. Events recorded after the slice's `known_at` are not known then, so they settle nothing; a store has
    settled with them, which differs only for an id on two partitions, the later of them admitted first.
    """
    if log.settles_duplicates:
        return _all
    if store is not None:
        verdicts = Verdicts(store)
        if verdicts.are_of(log.identity) and _reach(verdicts, ranges):
            return verdicts.without_skipped
    return _Skipped(_repeats(log, _everything(log, contract, ranges, slice_), slice_))


def _all(records: pl.DataFrame, batches: Sequence[Batch]) -> pl.DataFrame:
    return records


def _reach(verdicts: Verdicts, ranges: Ranges) -> bool:
    """Whether all of `ranges` is admitted, or soon will be: admission is a moment behind a log that grows."""
    before: Mapping[TopicPartition, int] = {}
    while (now := verdicts.admitted(ranges)) != before:
        if all(now[origin] >= stop for origin, (_, stop) in ranges.items()):
            return True
        before = now
        time.sleep(PATIENCE_SECONDS)
    return False


# --- without a store -----------------------------------------------------------------------------------


class _Skipped:
    """An Admitted that leaves out these offsets."""

    def __init__(self, offsets: Mapping[TopicPartition, pl.Series]):
        self._offsets = offsets

    def __call__(self, records: pl.DataFrame, batches: Sequence[Batch], /) -> pl.DataFrame:
        indexes: dict[TopicPartition, list[int]] = {}
        for index, batch in enumerate(batches):
            indexes.setdefault(batch.origin, []).append(index)
        for origin in indexes.keys() & self._offsets.keys():
            here = pl.col("_batch").is_in(indexes[origin])
            again = pl.col("_offset").is_in(self._offsets[origin].implode())
            records = records.filter(~(here & again))
        return records


def _everything(log: EventLog, contract: Contract, ranges: Ranges, slice_: Slice) -> Ranges:
    """From the beginning of every topic of the contract to the ends of `ranges`, where it has none to those of now."""
    stops = {origin: stop for origin, (_, stop) in ranges.items()}
    found = dict[TopicPartition, tuple[int, int]]()
    for topic in sorted(contract.topics):
        with suppress(TopicMissing):  # nothing was published to it so far
            held = log.start_offsets(extent.origins(log, [topic]))
            found |= bounded(log, [topic], replace(slice_, start=held, stop=stops))
    return found


def _repeats(log: EventLog, ranges: Ranges, slice_: Slice) -> dict[TopicPartition, pl.Series]:
    """The offsets at which an event_id stands that counts at another one."""
    hashes = [ids["event_id"].hash() for ids in _ids(log, ranges, slice_)]
    sorted_ = pl.concat(hashes).sort() if hashes else pl.Series(dtype=pl.UInt64)
    again = sorted_.filter(sorted_ == sorted_.shift(1)).unique()
    if not len(again):
        return {}
    found = pl.concat(
        ids.filter(ids["event_id"].hash().is_in(again.implode())) for ids in _ids(log, ranges, slice_)
    )
    return _all_but_first(found)


def _ids(log: EventLog, ranges: Ranges, slice_: Slice) -> Iterator[pl.DataFrame]:
    """event_id, topic, partition, _offset, _recorded_at of every event that has an id, piece by piece."""
    for batches in pieces(log, ranges):
        records = known(read_records(batches), slice_)
        places = pl.DataFrame(
            {"topic": [b.topic for b in batches], "partition": [b.partition for b in batches]},
            schema={"topic": pl.Categorical, "partition": pl.Int64},
        )
        ids = records.select("_offset", "_recorded_at", event_id=event_ids(pl.col("value")))
        yield pl.concat([ids, places[records["_batch"]]], how="horizontal").drop_nulls("event_id")


def _all_but_first(rows: pl.DataFrame) -> dict[TopicPartition, pl.Series]:
    """Of each id every place but the lowest offset in the partition that had it first."""
    place = ("topic", "partition")
    lowest = rows.sort("_offset").unique(["event_id", *place], keep="first", maintain_order=True)
    first = lowest.sort("_recorded_at", pl.col("topic").cast(pl.String), "partition").unique(
        "event_id", keep="first", maintain_order=True
    )
    later = rows.join(first, on=["event_id", *place, "_offset"], how="anti")
    return {
        TopicPartition(str(topic), int(partition)): part["_offset"].sort()
        for (topic, partition), part in later.partition_by(place, as_dict=True).items()
    }
