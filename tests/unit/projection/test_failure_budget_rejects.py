"""Bytes that are no event say nothing about a handler, however many there are."""

import pytest

from tillroll.errors import TooManyFailures
from tillroll.log.port import Position
from tillroll.projection.fold import Failure, FailureBudget


def failures(count: int, record: str | None) -> list[Failure]:
    return [Failure(Position("stock", 0, n), record, None, "Error", "why", "") for n in range(count)]


def test_junk_on_a_topic_never_stops_a_projector() -> None:
    FailureBudget().spend(200, failures(200, None), "model")


def test_as_many_events_that_a_handler_refuses_do() -> None:
    with pytest.raises(TooManyFailures):
        FailureBudget().spend(200, failures(200, "StockReceived"), "model")
