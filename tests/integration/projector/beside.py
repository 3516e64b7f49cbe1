"""A projection, events for it and a door before the store, for the tests of what goes on beside a step."""

import threading
from collections.abc import Callable
from typing import Any

import polars as pl

from tillroll.contract.registry import load_contract
from tillroll.events import Event, StockReceived
from tillroll.log import extent
from tillroll.log.port import EventLog
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.publisher import Publisher
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore, Writer
from tillroll.testing import event

CONTRACT = load_contract()
BAD = "bad"


class Moved(Projection):
    """Units by sku; one of them becomes a text that PostgreSQL cannot hold."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """What came."""
        sku = pl.when(pl.col("sku") == BAD).then(pl.lit("nul\x00")).otherwise("sku")
        return events.select(sku=sku, units="quantity")


class Gate:
    """Stands in for Writer.commit: holds commits up, or has them fail, as told."""

    def __init__(self) -> None:
        self.open, self.tried = threading.Event(), threading.Semaphore(0)
        self.fails: list[Exception | None] = []
        self.commit: Callable[..., None] = Writer.commit

    def __call__(self, *given: Any) -> None:
        self.tried.release()
        assert self.open.wait(10)
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        self.commit(*given)


def as_method(stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes a method's place and hands everything on, the object too."""

    def method(*given: Any) -> Any:
        return stand_in(*given)

    return method


def publish(log: EventLog, *events: Event) -> None:
    Publisher(log, CONTRACT).publish(events)


def received(quantity: int = 1, sku: str = "a") -> StockReceived:
    return event(StockReceived, sku=sku, location_id="s", quantity=quantity)


def rows(store: PostgresStore) -> dict[str, int]:
    with store.connection() as connection:
        return dict(connection.execute("select sku, units from moved").fetchall())


def letters(store: PostgresStore) -> list[str]:
    with store.connection() as connection:
        return [row[0] for row in connection.execute("select message from tillroll.dead_letters")]


def finish(one: Projector, log: EventLog) -> None:
    ends = extent.ends(log, Moved.topics())
    for _ in range(500):
        if not one.lag(ends):
            one.flush()
            return
        one.step(0.02)
    raise AssertionError("it does not end")
