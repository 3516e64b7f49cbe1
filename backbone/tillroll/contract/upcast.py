"""Upcasters: frames of an old record become frames of the record that replaced it.

A compatible change stays in its record and is aligned (contract/frames.py). A breaking one is a new record,
``OrderPlacedV2``, and an upcaster from the old one:

    @upcaster("OrderPlaced", "OrderPlacedV2")
    def split_name(events: pl.DataFrame) -> pl.DataFrame:
        ...

Upcasters work on whole frames, see no clock and no database, and keep the columns that say where an event
stood. Handlers only ever meet the newest record.
"""

from collections.abc import Callable

import polars as pl

from tillroll.contract.frames import align
from tillroll.contract.registry import Contract, EventSchema
from tillroll.errors import ContractError

__all__ = ["newest_record", "upcast", "upcaster"]

Upcaster = Callable[[pl.DataFrame], pl.DataFrame]

_upcasters: dict[str, tuple[str, Upcaster]] = {}


def upcaster(old: str, new: str) -> Callable[[Upcaster], Upcaster]:
    """Register a function from frames of record `old` to frames of record `new`."""

    def register(function: Upcaster) -> Upcaster:
        if old in _upcasters or newest_record(new) == old:
            raise ContractError(f"{old} has an upcaster already, or {new} leads back to it")
        _upcasters[old] = (new, function)
        return function

    return register


def newest_record(record: str) -> str:
    """The record that events of `record` end up as."""
    while record in _upcasters:
        record = _upcasters[record][0]
    return record


def upcast(schema: EventSchema, frame: pl.DataFrame, contract: Contract) -> tuple[str, pl.DataFrame]:
    """`frame` of `schema` as the newest version of the newest record: that record's name, and the frame."""
    record = schema.record
    frame = align(frame, schema, contract.latest(record))
    while record in _upcasters:
        record, function = _upcasters[record]
        frame = function(frame)
    return record, frame
