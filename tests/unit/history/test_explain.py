"""The parts of a cell add up to it, for every cell of generated histories and by every merge rule."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tillroll.contract.registry import load_contract
from tillroll.errors import UsageError
from tillroll.events import Event, StockAdjusted, StockCounted, StockReceived, to_wire
from tillroll.history.explain import Explanation, RowParts, explain
from tillroll.log.decode import Decoded, decode_batches
from tillroll.log.encode import encode_values
from tillroll.log.port import Batch
from tillroll.projection import Frame, Key, Latest, Level, Max, Projection, Sum, Union, derived, on
from tillroll.projection.declare import Append, Derived, First, Min
from tillroll.projection.fold import Folder
from tillroll.projection.merge import TableDeltas, finish
from tillroll.projection.registry import load_projections
from tillroll.testing import event
from tillroll.testing.order_free import generated_history

CONTRACT = load_contract()
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Everything(Projection):
    """A column of every rule, all of them of what stock is received or adjusted, and counted."""

    sku: Key[str]
    total: Sum[int]
    lowest: Min[int]
    highest: Max[int]
    first: First[int]
    latest: Latest[int]
    notes: Append[int]
    places: Union[str]
    stock: Level[int]
    twice: Derived[int] = derived("total * 2 + stock")

    @on(StockReceived, StockAdjusted)
    def moved(self, events: Frame) -> Frame:
        """All of them."""
        one = pl.col("quantity")
        return events.select(
            "sku",
            total=one,
            lowest=one,
            highest=one,
            first=one,
            latest=one,
            notes=one,
            places="location_id",
            stock=one,
        )

    @on(StockCounted)
    def counted(self, events: Frame) -> Frame:
        """A count."""
        return events.select("sku", stock_count="quantity")


def decoded(projection: type[Projection], history: Sequence[Event]) -> tuple[Decoded, Sequence[Batch]]:
    values = [to_wire(each, CONTRACT)[2] for each in {each.event_id: each for each in history}.values()]
    body = encode_values([b""] * len(values), values)
    batches = [Batch("history", 0, 0, len(values), len(values), 0, 0, body)]
    return decode_batches(batches, CONTRACT, Folder(projection(), CONTRACT).wanted), batches


def parts(
    projection: type[Projection], table: str, key: dict[str, Any], found: tuple[Decoded, Sequence[Batch]]
) -> RowParts:
    out = RowParts(projection.table(table), key)
    out.take(Folder(projection(), CONTRACT).trace(*found), found[1])
    return out


def explained(history: Sequence[Event], column: str, key: str = "a") -> Explanation:
    found = decoded(Everything, history)
    return explain(Everything, parts(Everything, "everything", {"sku": key}, found), column)


def cells(
    projection: type[Projection], found: tuple[Decoded, Sequence[Batch]]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(table, key, row) of every row that the history gives."""
    deltas: dict[str, TableDeltas] = Folder(projection(), CONTRACT).fold(*found).deltas
    for name, given in deltas.items():
        table = projection.table(name)
        for row in finish(table, given).iter_rows(named=True):
            yield name, {k: row[k] for k in table.key}, row


@pytest.mark.parametrize("projection", [Everything, *load_projections().values()], ids=lambda p: str(p.name))
def test_the_last_total_is_the_cell_for_every_cell(projection: type[Projection]) -> None:
    found = decoded(projection, generated_history(projection, seed=11, size=60))
    seen = 0
    for name, key, row in cells(projection, found):
        mine = parts(projection, name, key, found)
        for column in projection.table(name).values:
            told = explain(projection, mine, column.name)
            assert told.value == row[column.name], (name, key, column.name)
            if told.parts:
                seen += 1
                assert told.parts[-1].total == told.value, (name, key, column.name, told)
            else:
                assert told.value in (None, 0, [])
    assert seen


def at(minutes: int, kind: type[Event], quantity: int, place: str = "s") -> Event:
    return event(kind, at=NOON + timedelta(minutes=minutes), sku="a", location_id=place, quantity=quantity)


def fates(told: Explanation) -> list[tuple[Any, str, Any]]:
    return [(part.value, part.fate, part.total) for part in told.parts]


def test_a_sum_adds_up() -> None:
    told = explained([at(2, StockReceived, 5), at(1, StockAdjusted, -2)], "total")
    assert fates(told) == [(-2, "adds", -2), (5, "adds", 3)]
    assert [part.record for part in told.parts] == ["StockAdjusted", "StockReceived"]
    assert told.parts[0].position.offset == 1


def test_a_level_counts_from_its_newest_count() -> None:
    history = [
        at(0, StockReceived, 9),
        at(1, StockCounted, 4),
        at(1, StockAdjusted, 7),
        at(2, StockReceived, 1),
        at(3, StockCounted, 6),
        at(4, StockAdjusted, -2),
    ]
    assert fates(explained(history, "stock")) == [
        (9, "superseded", 9),
        (4, "superseded", 4),
        (7, "superseded", 4),
        (1, "superseded", 5),
        (6, "counts", 6),
        (-2, "adds", 4),
    ]


def test_one_value_wins_and_the_others_are_named() -> None:
    history = [at(1, StockReceived, 5), at(2, StockReceived, 3), at(3, StockReceived, 4)]
    assert fates(explained(history, "latest")) == [(5, "lost", 5), (3, "lost", 3), (4, "won", 4)]
    assert fates(explained(history, "first")) == [(5, "won", 5), (3, "lost", 5), (4, "lost", 5)]
    assert fates(explained(history, "lowest")) == [(5, "lost", 5), (3, "won", 3), (4, "lost", 3)]
    assert fates(explained(history, "highest"))[0] == (5, "won", 5)


def test_a_repeated_member_of_a_union_adds_nothing() -> None:
    told = explained(
        [at(1, StockReceived, 5, "z"), at(2, StockReceived, 5, "z"), at(3, StockReceived, 1, "b")], "places"
    )
    assert fates(told) == [("z", "adds", ["z"]), ("z", "repeats", ["z"]), ("b", "adds", ["b", "z"])]


def test_a_key_without_events_has_no_value() -> None:
    told = explained([at(1, StockReceived, 5)], "total", key="b")
    assert (told.value, told.parts) == (None, [])


def test_a_derived_column_says_what_it_is_made_of() -> None:
    with pytest.raises(
        UsageError, match=r"twice is derived \(total \* 2 \+ stock\); explain one of total, stock"
    ):
        explained([at(1, StockReceived, 5)], "twice")


def test_an_unknown_column_says_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no column 'units', but total, lowest"):
        explained([at(1, StockReceived, 5)], "units")
