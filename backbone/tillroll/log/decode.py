"""The event layer: a frame of values into one frame per event type.

Values are grouped by their schema prefix; a group becomes a typed frame in one native call, each value
decoded by itself. What that call cannot take, or would write differently, goes value by value through
fastavro, whose word is final.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import polars as pl

from tillroll.contract.envelope import UUID_TEXT
from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import Contract, EventSchema
from tillroll.contract.upcast import upcast
from tillroll.contract.wire import TOMBSTONE, decode, schema_of, unknown_prefix
from tillroll.errors import MalformedEvent
from tillroll.log.columns import AVAILABLE, from_values
from tillroll.log.port import Batch, Position
from tillroll.log.records import RECORD_FRAME, read_records

__all__ = ["PLACE", "Decoded", "Reject", "decode_batches", "decode_records"]

PLACE = ("_batch", "_offset", "_recorded_at")
"""Columns that say where an event stood; in front of every event frame."""

# A native call costs about 0.3 ms, as much as this many values through fastavro.
FEWEST_FOR_NATIVE = 70

CONFLUENT_PREFIX = 5  # 0x00 and a schema id of four bytes
SINGLE_OBJECT_PREFIX = 10  # 0xC3 0x01 and a fingerprint of eight bytes
_SINGLE_OBJECT = b"\xc3\x01"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is no event of the contract."""

    position: Position
    reason: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Event frames by record name (newest version, PLACE columns first) and what could not be read."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)


def decode_batches(
    batches: Sequence[Batch], contract: Contract, wanted: Collection[str] | None = None
) -> Decoded:
    """Both layers in one: the events of `batches`."""
    return decode_records(read_records(batches), batches, contract, wanted)


def decode_records(
    records: pl.DataFrame, batches: Sequence[Batch], contract: Contract, wanted: Collection[str] | None = None
) -> Decoded:
    """The events of `records` (see RECORD_FRAME), in the newest version of their record.

    wanted: record names to decode, upcast targets included; None = all. Others are passed over unread.
    """
    decoder = _Decoder(batches, contract, wanted)
    if len(records) < FEWEST_FOR_NATIVE:
        decoder.take_one_by_one(records)
        return decoder.result()
    for prefix, rows in _by_prefix(records, CONFLUENT_PREFIX):
        if prefix is not None and prefix.startswith(_SINGLE_OBJECT):
            for longer, part in _by_prefix(rows, SINGLE_OBJECT_PREFIX):
                decoder.take(longer, part)
        else:
            decoder.take(prefix, rows)
    return decoder.result()


def _by_prefix(rows: pl.DataFrame, size: int) -> Iterator[tuple[bytes | None, pl.DataFrame]]:
    keyed = rows.with_columns(prefix=pl.col("value").bin.slice(0, size))
    for (prefix,), part in keyed.partition_by("prefix", as_dict=True, include_key=False).items():
        yield prefix, part


class _Decoder:
    """Collects frames and rejects over the groups of one read."""

    def __init__(self, batches: Sequence[Batch], contract: Contract, wanted: Collection[str] | None):
        self._batches, self._contract, self._wanted = batches, contract, wanted
        self._parts: dict[str, list[pl.DataFrame]] = {}
        self._rejects: list[Reject] = []

    def take(self, prefix: bytes | None, rows: pl.DataFrame) -> None:
        """Decode the values that share `prefix`."""
        if prefix is None:
            self._reject_all(rows, TOMBSTONE)
            return
        schema = self._contract.by_prefix(prefix)
        if schema is None:
            self._reject_all(rows, unknown_prefix(prefix))
        elif self._is_wanted(schema):
            self._decode(schema, rows, len(prefix))

    def take_one_by_one(self, rows: pl.DataFrame) -> None:
        """Decode values of any schemas, one after the other."""
        found: dict[EventSchema, list[dict[str, Any]]] = {}
        for at, (batch, offset, time, _, value) in enumerate(rows.iter_rows()):
            try:
                schema = schema_of(value, self._contract)
                if self._is_wanted(schema):
                    place = {"_batch": batch, "_offset": offset, "_recorded_at": time}
                    found.setdefault(schema, []).append(place | decode(value, self._contract)[1])
            except MalformedEvent as error:
                self._reject(rows, at, str(error))
        for schema, events in found.items():
            self._keep(schema, pl.DataFrame(events, schema=_placed(schema), orient="row"))

    def _keep(self, schema: EventSchema, frame: pl.DataFrame) -> None:
        record, newest = upcast(schema, frame, self._contract)
        self._parts.setdefault(record, []).append(newest)

    def result(self) -> Decoded:
        frames = {
            record: parts[0] if len(parts) == 1 else pl.concat(parts) for record, parts in self._parts.items()
        }
        return Decoded(frames, self._rejects)

    def _is_wanted(self, schema: EventSchema) -> bool:
        return self._wanted is None or self._contract.newest_record(schema.record) in self._wanted

    def _decode(self, schema: EventSchema, rows: pl.DataFrame, skip: int) -> None:
        if len(rows) < FEWEST_FOR_NATIVE or not AVAILABLE:
            self.take_one_by_one(rows)
            return
        try:
            frame, whole = from_values(schema, rows["value"].bin.slice(skip))
        except MalformedEvent:
            half = len(rows) // 2
            self._decode(schema, rows[:half], skip)
            self._decode(schema, rows[half:], skip)
            return
        whole &= frame["event_id"].str.contains(UUID_TEXT)
        placed = pl.concat([rows.select(PLACE), frame], how="horizontal")
        if whole.all():
            self._keep(schema, placed)
            return
        self._keep(schema, placed.filter(whole))
        self.take_one_by_one(rows.filter(~whole))

    def _reject_all(self, rows: pl.DataFrame, reason: str) -> None:
        for at in range(len(rows)):
            self._reject(rows, at, reason)

    def _reject(self, rows: pl.DataFrame, at: int, reason: str) -> None:
        batch = self._batches[rows["_batch"][at]]
        position = Position(batch.topic, batch.partition, rows["_offset"][at])
        self._rejects.append(Reject(position, reason, rows["value"][at]))


@cache
def _placed(schema: EventSchema) -> pl.Schema:
    """The columns of an event frame of `schema`."""
    return pl.Schema({name: RECORD_FRAME[name] for name in PLACE} | dict(frame_schema(schema)))
