"""Upcasters: what turns events of a record that was given up into events of the one that took its place.

A change that is not compatible is a new record (`OrderPlacedV2`), and the old one gets an upcaster, here:

    @upcaster("OrderPlaced", "OrderPlacedV2")
    def with_tax(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(tax_minor=pl.lit(None, pl.Int64))

It is given all fields of the old record's newest version and returns the same rows, in the same order, with
all fields of the new record's newest version; columns beyond those are dropped. Like a handler it is a pure
frame function. Upcasters chain: readers only ever see the last record.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from tillroll.errors import ContractError

__all__ = ["UPCASTERS", "FrameFunction", "Upcaster", "last_record", "upcaster"]

FrameFunction = Callable[[pl.DataFrame], pl.DataFrame]


class Upcaster(NamedTuple):
    """The record that took the place of another, and how to get there."""

    target: str
    function: FrameFunction


UPCASTERS: dict[str, Upcaster] = {}
"""By the name of the record that was given up."""


def upcaster(
    old: str, new: str, table: dict[str, Upcaster] = UPCASTERS
) -> Callable[[FrameFunction], FrameFunction]:
    """Register the decorated frame function as the way from record `old` to record `new`.

    Raises ContractError when `old` has one already or the chain would close.
    """

    def register(function: FrameFunction) -> FrameFunction:
        if old in table:
            raise ContractError(f"{old} has an upcaster already, to {table[old].target}; a record has one")
        if last_record(new, table) == old:
            raise ContractError(f"an upcaster from {old} to {new} would lead back to {old}")
        table[old] = Upcaster(new, function)
        return function

    return register


def last_record(record: str, table: Mapping[str, Upcaster] = UPCASTERS) -> str:
    """The record that the chain of upcasters from `record` ends at; itself where there is none."""
    while record in table:
        record = table[record].target
    return record
