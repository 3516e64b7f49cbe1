"""Histories in memory, made once, to be published in many ways."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from tillroll.contract.avro_types import AvroType, Primitive
from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import Contract, load_contract
from tillroll.log.port import Record
from tillroll.publisher.encode import encode_frame, key_text
from tillroll.services.histories.history import EventFrame
from tillroll.testing.generate import Generator

__all__ = ["Encoded", "encoded", "every_nth", "few_of_everything"]

Encoded = tuple[str, Record]
"""A topic, and an event ready to append to it."""

START = datetime(2026, 1, 1, tzinfo=UTC)
FEW = ("order_id", "return_id", "refund_id", "line_id", "sku", "location_id", "reservation_id", "transfer_id")
"""Ids that are drawn from few, so that events meet in the same rows."""


def every_nth(frames: Iterable[EventFrame], n: int) -> list[EventFrame]:
    """A part of a history that hangs together: every nth order with all that belongs to it, every nth sku."""
    return [(record, _nth(frame, n)) for record, frame in frames if len(_nth(frame, n))]


def _nth(frame: pl.DataFrame, n: int) -> pl.DataFrame:
    name = next((name for name in ("order_id", "sku") if name in frame.columns), None)
    if name is None:
        return frame
    return frame.filter(pl.col(name).str.extract(r"(\d+)$").cast(pl.Int64) % n == 0)


def few_of_everything(count: int, seed: int = 3) -> list[EventFrame]:
    """`count` events of every type that projections read, over few ids: counts, transfers, pickups, holds...

    Sold, counted and moved at any time of a year, an hour at a time, so that times are often equal.
    """
    contract, draw = load_contract(), _Narrow(seed)
    found = []
    for record in contract.records:
        schema = contract.latest(record)
        if record in ("EventCorrected", "TransactionVoided") or schema.topic == "customers":
            continue
        rows = [draw.event(schema) for _ in range(count)]
        found.append((record, pl.DataFrame(rows, schema=frame_schema(schema))))
    return found


class _Narrow(Generator):
    """Draws events that could be true."""

    def field(self, name: str, type_: AvroType) -> Any:
        if name in FEW:
            return f"{name.removesuffix('_id')}-{self.random.randrange(12)}"
        if name in ("channel", "order_channel"):
            return self.random.choice(("web", "store"))
        if name in ("order_location_id", "destination_id", "origin_id"):
            return f"location-{self.random.randrange(12)}"
        if name in ("business_date", "order_business_date"):
            return date(2026, 1, 1) + timedelta(days=self.random.randrange(5))
        if name == "occurred_at":
            return START + timedelta(hours=self.random.randrange(200))
        if name == "training":
            return self.random.random() < 0.05
        if name == "currency":
            return "EUR"
        if name == "kind" and type_ is Primitive.STRING:
            return self.random.choice(("account", "email"))
        return super().field(name, type_)

    def primitive(self, type_: Primitive) -> Any:
        if type_ is Primitive.LONG:
            return self.random.randrange(-5, 30)
        if type_ is Primitive.DOUBLE:
            return self.random.randrange(-90, 90) / 2
        return super().primitive(type_)


def encoded(frames: Iterable[EventFrame]) -> list[Encoded]:
    """Every event of `frames` as the log takes it."""
    contract = load_contract()
    return [event for record, frame in frames for event in _encoded(contract, record, frame)]


def _encoded(contract: Contract, record: str, frame: pl.DataFrame) -> Iterator[Encoded]:
    schema = contract.latest(record)
    keys: Sequence[str] = (
        frame.select(key_text(contract.topics[schema.topic], frame.columns)).to_series().to_list()
    )
    for key, value, event_id in zip(keys, encode_frame(schema, frame), frame["event_id"], strict=True):
        yield schema.topic, Record(key.encode(), value, event_id)
