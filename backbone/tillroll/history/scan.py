"""The events of a slice of history, in bounded pieces: read from the log as it is, without a consumer group."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from tillroll.contract.registry import SINGLE_OBJECT, VOID, Contract
from tillroll.errors import PositionOutOfRange
from tillroll.log import extent
from tillroll.log.decode import Decoded, decode_records
from tillroll.log.port import Batch, EventLog, Positions, TopicPartition
from tillroll.log.records import read_records

__all__ = ["Admitted", "Chunk", "Ranges", "Slice", "bounded", "known", "pieces", "scan"]

PIECE_BYTES = 16 << 20
"""Of bodies, decoded at once: enough to keep the native calls busy, little enough not to fill the memory."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of history is meant; without anything all of it.

    as_of: what had happened by then (occurred_at). known_at: what had been recorded by then (recorded_at).
    since: what happened from then on; a void of that time takes back what it names, whenever that happened.
    start, stop: per partition the first offset, and the first one no more; where none is given, all that the
    log holds now.
    """

    as_of: datetime | None = None
    known_at: datetime | None = None
    start: Positions = field(default_factory=dict)
    stop: Positions = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some events of a slice, with the batches that they stand in."""

    decoded: Decoded
    batches: Sequence[Batch]


Ranges = Mapping[TopicPartition, tuple[int, int]]
"""Per partition the offsets to read, from the first up to the second."""


class Admitted(Protocol):
    """Leaves out of records what is to be passed over (see history.admitted)."""

    def __call__(self, records: pl.DataFrame, batches: Sequence[Batch], /) -> pl.DataFrame:
        """`records` (see RECORD_FRAME) of `batches` without these."""
        ...


def scan(
    log: EventLog,
    contract: Contract,
    records: Collection[str],
    slice_: Slice,
    ranges: Ranges,
    admitted: Admitted,
    only: Sequence[Collection[bytes]] | None = None,
) -> Iterator[Chunk]:
    """The events of these types in the slice, partition after partition; voids of any event with them.

    slice_: its times; ranges: its offsets, see `bounded`. only: a value is decoded if it holds all the bytes of one of
    these, or is a void (what it names is encoded once more); batches without any such bytes are passed over unread.
    Raises what the log raises.
    """
    wanted = {*records, VOID}
    sought = None if only is None else _Sought(contract, only)
    for piece in _ahead(pieces(log, ranges)):
        batches = piece if sought is None else sought.perhaps_in(piece)
        rows = known(read_records(batches), slice_)
        rows = admitted(rows if sought is None else rows.filter(sought.values), batches)
        decoded = decode_records(rows, batches, contract, wanted)
        yield Chunk(_happened(decoded, slice_), batches)


def bounded(log: EventLog, topics: Iterable[str], slice_: Slice) -> Ranges:
    """Per partition of `topics` the offsets of the slice that there are by now.

    Recorded times are pushed down to offsets, since the log stamps events when it takes them.
    Raises PositionOutOfRange where the log holds the beginning no longer.
    """
    held = log.start_offsets(extent.origins(log, topics))
    starts = {origin: _start(origin, first, slice_) for origin, first in held.items()}
    ends = log.end_offsets(held.keys() - slice_.stop.keys()) | dict(slice_.stop)
    return {origin: (start, _stop(log, origin, ends[origin], slice_)) for origin, start in starts.items()}


def _start(origin: TopicPartition, held: int, slice_: Slice) -> int:
    wanted = slice_.start.get(origin, 0)
    if wanted < held:
        raise PositionOutOfRange(
            f"{origin.topic}/{origin.partition}: the log holds only offset {held} and later, so {held - wanted} "
            "events of this history are missing; restore them from the archive"
        )
    return wanted


def _stop(log: EventLog, origin: TopicPartition, stop: int, slice_: Slice) -> int:
    if slice_.known_at is not None:
        with suppress(OverflowError):  # the end of all time
            whole = slice_.known_at.replace(microsecond=slice_.known_at.microsecond // 1000 * 1000)
            stop = min(stop, log.offset_at(origin, whole + timedelta(milliseconds=1)))
    return stop


def pieces(log: EventLog, ranges: Ranges) -> Iterator[list[Batch]]:
    """The batches of these offsets, partition after partition, about PIECE_BYTES of them at a time."""
    held, size = list[Batch](), 0
    for origin, (start, stop) in ranges.items():
        for batch in _batches(log, origin, start, stop):
            held.append(batch)
            size += len(batch.body)
            if size >= PIECE_BYTES:
                yield held
                held, size = [], 0
    if held:
        yield held


def _batches(log: EventLog, origin: TopicPartition, start: int, stop: int) -> Iterator[Batch]:
    at = start
    while at < stop:
        found = log.read(origin, at, PIECE_BYTES)
        if not found:
            raise PositionOutOfRange(
                f"{origin.topic}/{origin.partition} ends at offset {at}, and ended at {stop} a moment ago: the log "
                "has lost events; restore it"
            )
        for batch in found:
            if max(batch.base_offset, batch.start or 0) < stop:
                yield batch.until(stop)
        at = found[-1].next_offset


def _ahead(given: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
    """The same, with the next one being read while one is worked on."""
    with ThreadPoolExecutor(1, "tillroll-scan") as thread:
        following = thread.submit(next, given, None)
        while (found := following.result()) is not None:
            following = thread.submit(next, given, None)
            yield found


def known(records: pl.DataFrame, slice_: Slice) -> pl.DataFrame:
    """Those recorded by the slice's `known_at`."""
    return records if slice_.known_at is None else records.filter(pl.col("_recorded_at") <= slice_.known_at)


def _happened(decoded: Decoded, slice_: Slice) -> Decoded:
    bounds = []
    if slice_.as_of is not None:
        bounds.append(pl.col("occurred_at") <= slice_.as_of)
    if slice_.since is not None:
        bounds.append(pl.col("occurred_at") >= slice_.since)
    if not bounds:
        return decoded
    return replace(decoded, frames={record: frame.filter(bounds) for record, frame in decoded.frames.items()})


class _Sought:
    """Values that hold all the bytes of one of `only`, and voids of whatever version.

    values: whether a value of RECORD_FRAME is one.
    """

    def __init__(self, contract: Contract, only: Sequence[Collection[bytes]]):
        prefixes = [
            prefix
            for schema in contract.versions(VOID)
            for prefix in (schema.prefix, SINGLE_OBJECT + schema.fingerprint)
        ]
        value, body = pl.col("value").bin, pl.col("body").bin
        held = [pl.all_horizontal(map(value.contains, texts)) for texts in only]
        self.values = pl.any_horizontal(*map(value.starts_with, prefixes), *held)
        somewhere = [pl.all_horizontal(map(body.contains, texts)) for texts in only]
        self._bodies = pl.any_horizontal(*map(body.contains, prefixes), *somewhere)

    def perhaps_in(self, batches: Sequence[Batch]) -> list[Batch]:
        """Those in which the bytes stand anywhere: a tenth of the work of making records of all."""
        bodies = pl.Series("body", [batch.body for batch in batches], pl.Binary)
        found = bodies.to_frame().select(self._bodies).to_series()
        return [batch for batch, there in zip(batches, found, strict=True) if there]
