"""Merging in Polars: reduce is a monoid, and finish shows the rows of the oracle."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from tillroll.events import StockAdjusted
from tillroll.projection import Frame, Key, Projection, Sum, merge, on
from tillroll.projection.declare import Rule
from tillroll.projection.merge import TableDeltas, finish, reduce, stored
from tillroll.testing.merge_contract import (
    TABLE,
    Contribution,
    MergeContract,
    Rows,
    contributed,
    history,
    splits,
)


class Dated(Projection):
    """Units by day."""

    day: Key[date]
    units: Sum[int]

    @on(StockAdjusted)
    def adjusted(self, events: Frame) -> Frame:
        """There has to be one."""
        return events.select(day="business_date", units="quantity")


def rows(deltas: TableDeltas) -> Rows:
    found = finish(TABLE, deltas).rows(named=True)
    return {(row.pop("sku"), row.pop("place")): row for row in found}


class TestPolars(MergeContract):
    def merged(self, parts: Sequence[Sequence[Contribution]]) -> Rows:
        return rows(reduce(TABLE, [reduce(TABLE, [contributed(part)]) for part in parts]))


class TestPolarsInOneGo(MergeContract):
    """All at once, without reducing parts first."""

    histories = 5

    def merged(self, parts: Sequence[Sequence[Contribution]]) -> Rows:
        return rows(reduce(TABLE, [contributed(part) for part in parts]))


@pytest.mark.parametrize("seed", range(20))
def test_reducing_is_associative(seed: int) -> None:
    chance = random.Random(seed)
    a, b, c = (contributed(history(chance, chance.randint(1, 30))) for _ in range(3))
    left = reduce(TABLE, [reduce(TABLE, [a, b]), c])
    right = reduce(TABLE, [a, reduce(TABLE, [b, c])])
    assert rows(left) == rows(right)


@pytest.mark.parametrize("seed", range(20))
def test_reducing_what_is_reduced_changes_nothing(seed: int) -> None:
    once = reduce(TABLE, [contributed(history(random.Random(seed), 40))])
    assert rows(reduce(TABLE, [once])) == rows(once)


def test_reducing_leaves_one_row_a_key_and_no_superseded_moves() -> None:
    dated = 0
    for seed in range(10):
        chance = random.Random(seed)
        reduced = reduce(TABLE, [contributed(part) for part in splits(chance, history(chance, 60))])
        assert len(reduced.rows) == len(reduced.rows.select(TABLE.key).unique())
        if "stock" in reduced.moves and "stock__count_at" in reduced.rows.columns:
            counts = reduced.rows.select(*TABLE.key, "stock__count_at").drop_nulls()
            after = reduced.moves["stock"].join(counts, on=TABLE.key)
            assert (after["at"] > after["stock__count_at"]).all()
            dated += len(after)
    assert dated > 10


def without_lists(deltas: TableDeltas) -> TableDeltas:
    names = [name for c in TABLE.ruled(Rule.APPEND, Rule.UNION) for name, _ in stored(c)]
    return TableDeltas(deltas.rows.drop(names, strict=False), deltas.moves)


def test_what_has_a_row_a_key_already_is_what_grouping_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = (Rule.APPEND, Rule.UNION)
    table = replace(TABLE, columns=tuple(c for c in TABLE.columns if c.rule not in lists))
    left = Counter[tuple[bool, int]]()
    for seed in range(120):
        chance = random.Random(seed)
        given = [
            without_lists(contributed(history(chance, chance.randint(1, 3))))
            for _ in range(chance.randint(1, 2))
        ]
        quick = reduce(table, given)
        with monkeypatch.context() as patch:
            patch.setattr(merge, "FEW_ROWS", 0)
            grouped = reduce(table, given)
        assert quick.rows.sort(*table.key).equals(grouped.rows.select(quick.rows.columns).sort(*table.key))
        assert quick.rows.width == grouped.rows.width
        assert quick.moves.keys() == grouped.moves.keys()
        left[len(quick.rows) == sum(len(part.rows) for part in given), len(given)] += 1
    assert min(left[here, parts] for here in (True, False) for parts in (1, 2)) > 5


def test_days_that_python_cannot_hold_are_reduced_like_any_other() -> None:
    table = Dated.tables[0]
    days = pl.Series("day", [4_000_000, 4_000_000, 0], pl.Int32).cast(pl.Date)
    reduced = reduce(table, [TableDeltas(pl.DataFrame([days, pl.Series("units", [1, 2, 4])]))])
    assert sorted(reduced.rows["units"]) == [3, 4]
