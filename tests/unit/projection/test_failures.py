"""What is an event's own fault says nothing about a handler, however often it occurs; what is known neither."""

import math

import pytest

from tillroll.errors import TooManyFailures
from tillroll.log.port import Position
from tillroll.projection.failures import Failure, FailureBudget


def failures(count: int, of_handler: bool = True) -> list[Failure]:
    return [
        Failure(Position("stock", 0, n), "StockReceived", None, "Error", "why", "", None, of_handler)
        for n in range(count)
    ]


def test_unfit_events_never_stop_a_projector() -> None:
    FailureBudget().spend(200, failures(200, of_handler=False), "model")


def test_as_many_events_that_a_handler_refuses_do() -> None:
    with pytest.raises(TooManyFailures):
        FailureBudget().spend(200, failures(200), "model")


@pytest.mark.parametrize(
    ("known", "events", "most"),
    [(13, 1_000, 23), (200, 500_000, 300), (0, 500_000, 100), (0, 1_000_000, 200)],
)
def test_what_is_known_to_fail_is_allowed_beside_the_rest_which_grows_with_a_batch(
    known: int, events: int, most: int
) -> None:
    FailureBudget(known).spend(events, failures(most), "model")
    with pytest.raises(TooManyFailures):
        FailureBudget(known).spend(events, failures(most + 1), "model")


def test_who_only_asks_may_allow_more() -> None:
    FailureBudget(most=math.inf, share=0.5).spend(1_000, failures(500), "model")
    with pytest.raises(TooManyFailures):
        FailureBudget(most=math.inf, share=0.5).spend(1_000, failures(501), "model")
