"""What a handler does with a column decides whether it is a copy, never the values at hand."""

from typing import Any

import polars as pl
import pytest
from tests.unit.history import test_pushdown as handlers

from tillroll.history.copies import copied
from tillroll.projection import Projection

# Values that every one of these handlers leaves as they are.
EVENTS = pl.DataFrame(
    {
        "sku": ["0000000000001", "a long enough sku"],
        "channel": ["CHANNEL", "CHANNEL"],
        "kind": ["", ""],
        "quantity": [1, 2],
        "reference": ["", ""],
        "source_epoch": [None, "e"],
    }
)


def copies(projection: type[Projection], record: str = "StockReceived") -> list[bool]:
    """Of each frame that is answered, whether the sku in it is a copy."""
    return ["sku" in columns for _, columns in copied(projection(), record, EVENTS)]


@pytest.mark.parametrize(
    ("projection", "found"),
    [
        (handlers.Copied, [True]),
        (handlers.Filled, [True]),
        (handlers.Renamed, [False]),
        (handlers.Padded, [False]),
        (handlers.Wide, [False]),
        (handlers.Hidden, [True, False]),
        (handlers.Looking, [False]),
        (handlers.Counting, [False]),
        (handlers.Each, [False]),
    ],
)
def test_only_what_is_copied_whatever_it_holds_is_a_copy(projection: Any, found: list[bool]) -> None:
    assert copies(projection) == found
