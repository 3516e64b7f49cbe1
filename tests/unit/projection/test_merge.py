"""Merging in Polars: reduce is a monoid, and finish shows the rows of the oracle."""

import random
from collections.abc import Sequence

import pytest

from tillroll.projection.merge import TableDeltas, finish, reduce
from tillroll.testing.merge_contract import (
    TABLE,
    Contribution,
    MergeContract,
    Rows,
    contributed,
    history,
    splits,
)


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
