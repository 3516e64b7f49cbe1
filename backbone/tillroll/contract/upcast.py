"""Frames of old records as frames of the newest: aligned within a record, upcast from one to the next."""

import polars as pl

from tillroll.contract.frames import align, frame_schema
from tillroll.contract.registry import Contract, EventSchema
from tillroll.contract.upcasters import Upcaster, upcaster
from tillroll.errors import ContractError

__all__ = ["upcast", "upcaster"]


def upcast(schema: EventSchema, frame: pl.DataFrame, contract: Contract) -> tuple[str, pl.DataFrame]:
    """The record that `frame`'s events are now, and the frame in its newest version.

    frame: columns of `schema`; columns beyond those stay in front, unseen by upcasters. Raises ContractError
    when an upcaster gives other rows or columns than its target has.
    """
    record = schema.record
    newest = contract.latest(record)
    frame = align(frame, schema, newest)
    while (found := contract.upcasters.get(record)) is not None:
        frame = _step(frame, newest, found, contract)
        record, newest = found.target, contract.latest(found.target)
    return record, frame


def _step(frame: pl.DataFrame, old: EventSchema, found: Upcaster, contract: Contract) -> pl.DataFrame:
    new = frame_schema(contract.latest(found.target))
    given = found.function(frame.select(frame_schema(old).names()))
    absent = [name for name in new if name not in given.columns]
    if absent or len(given) != len(frame):
        what = f"leaves out {', '.join(absent)}" if absent else f"makes {len(given)} rows of {len(frame)}"
        raise ContractError(f"the upcaster from {old.record} to {found.target} {what}; mend it")
    others = frame.drop(frame_schema(old).names())
    return pl.concat([others, given.select(new.names()).cast(new)], how="horizontal")
