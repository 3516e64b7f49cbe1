"""What merging promises, as tests: subclass MergeContract and say how rows come out of contributions.

Every merge rule is held against a naive Python oracle over random histories with ties, nulls and late counts,
split and ordered in any way.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tillroll.events import StockAdjusted
from tillroll.projection import (
    Append,
    Derived,
    First,
    Frame,
    Key,
    Latest,
    Level,
    Max,
    Min,
    Projection,
    Sum,
    Union,
    derived,
    on,
)
from tillroll.projection.merge import AT, ORDER, TableDeltas, contributions, order_key

__all__ = ["Contribution", "Everything", "MergeContract", "contributed", "expected", "history", "splits"]

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ("", "a", "B", "b", "ä", "Z", "zz", 'say "\\', "a,b\nc", "🥿")
Rows = dict[tuple[Any, ...], dict[str, Any]]


class Everything(Projection):
    """One column of every rule, and of the types that differ."""

    sku: Key[str]
    place: Key[int]
    total: Sum[int]
    lowest: Min[int]
    lowest_text: Min[str]
    earliest: Min[datetime]
    highest: Max[int]
    highest_text: Max[str]
    ratio: Max[float]
    newest_day: Max[date]
    ended: Max[bool]
    first: First[str]
    first_day: First[date]
    latest: Latest[int]
    held: Latest[bool]
    told_at: Latest[datetime]
    notes: Append[str]
    amounts: Append[int]
    tags: Union[str]
    sizes: Union[int]
    stock: Level[int]
    other_stock: Level[int]
    twice: Derived[int] = derived("total * 2 + stock")

    @on(StockAdjusted)
    def adjusted(self, events: Frame) -> Frame:
        """There has to be one."""
        return events.select("sku", place=pl.lit(0), total="quantity")


TABLE = Everything.tables[0]


@dataclass(frozen=True)
class Contribution:
    """What one row of a handler says: some columns of one key, at one place in time."""

    key: tuple[str, int]
    at: datetime
    seq: int | None
    event_id: str
    ordinal: int
    values: Mapping[str, Any]

    @property
    def order(self) -> tuple[Any, ...]:
        """The place in time that First, Latest, Append and counts go by."""
        return self.at, -1 if self.seq is None else self.seq, self.event_id, self.ordinal


# --- random histories -----------------------------------------------------------------------------------


def history(chance: random.Random, size: int, keys: int = 3) -> list[Contribution]:
    """Contributions to few keys at few instants, so that they meet; each with a few of the columns."""
    return [_contribution(chance, keys, n) for n in range(size)]


def _contribution(chance: random.Random, keys: int, n: int) -> Contribution:
    at = START + timedelta(microseconds=chance.choice((0, 1, 2, 10**6, 10**12)) * chance.choice((1, 1, 3)))
    event_id = f"{chance.getrandbits(32):08x}-0000-7000-8000-{n:012x}"
    columns = chance.sample(sorted(_DRAWN), chance.randint(0, 8))
    values = {name: _DRAWN[name](chance) if chance.random() < 0.85 else None for name in columns}
    key = (chance.choice(("", "a", "Ab", "ä", "a b")[:keys]), chance.randint(0, 1))
    return Contribution(
        key, at, chance.choice((None, None, 0, 9, 10, 2**62)), event_id, chance.randint(0, 12), values
    )


def _small(chance: random.Random) -> int:
    return chance.choice((0, 1, -1, 5, -30, 10**12, -(10**12)))


def _text(chance: random.Random) -> str:
    return chance.choice(TEXTS)


def _day(chance: random.Random) -> date:
    return date(2026, 1, 1) + timedelta(days=chance.randint(-800, 800))


def _time(chance: random.Random) -> datetime:
    return START + timedelta(microseconds=chance.choice((0, -1, 1, 10**6, 10**13)))


_DRAWN: dict[str, Callable[[random.Random], Any]] = {
    **dict.fromkeys(
        ("total", "lowest", "highest", "latest", "amounts", "sizes", "stock", "other_stock"), _small
    ),
    **dict.fromkeys(("stock_count", "other_stock_count"), _small),
    **dict.fromkeys(("lowest_text", "highest_text", "first", "notes", "tags"), _text),
    **dict.fromkeys(("newest_day", "first_day"), _day),
    **dict.fromkeys(("earliest", "told_at"), _time),
    "ratio": lambda chance: chance.choice((0.1, -2.5, 1e300, 3.0)),
    "ended": lambda chance: chance.random() < 0.5,
    "held": lambda chance: chance.random() < 0.5,
}


def splits(chance: random.Random, all_: Sequence[Contribution]) -> list[list[Contribution]]:
    """The contributions in random order, in random pieces, some of them empty."""
    mixed = chance.sample(list(all_), len(all_))
    cuts = sorted(chance.randint(0, len(mixed)) for _ in range(chance.randint(0, 6)))
    return [mixed[low:high] for low, high in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]


# --- the oracle -----------------------------------------------------------------------------------------


def expected(all_: Iterable[Contribution]) -> Rows:
    """The rows that these contributions make, worked out one by one."""
    by_key: dict[tuple[str, int], list[Contribution]] = {}
    for one in all_:
        by_key.setdefault(one.key, []).append(one)
    return {key: _row(found) for key, found in by_key.items()}


def _row(found: list[Contribution]) -> dict[str, Any]:
    def given(name: str) -> list[tuple[tuple[Any, ...], Any]]:
        return sorted(
            ((c.order, c.values[name]) for c in found if c.values.get(name) is not None),
            key=lambda pair: pair[0],
        )

    def values(name: str) -> list[Any]:
        return [value for _, value in given(name)]

    row: dict[str, Any] = {"total": sum(values("total"))}
    row |= {
        name: min(values(name), key=_bytewise, default=None) for name in ("lowest", "lowest_text", "earliest")
    }
    row |= {
        name: max(values(name), key=_bytewise, default=None)
        for name in ("highest", "highest_text", "ratio", "newest_day", "ended")
    }
    row |= {name: next(iter(values(name)), None) for name in ("first", "first_day")}
    row |= {name: next(reversed(values(name)), None) for name in ("latest", "held", "told_at")}
    row |= {name: values(name) for name in ("notes", "amounts")}
    row |= {name: sorted(set(values(name)), key=_bytewise) for name in ("tags", "sizes")}
    row |= {name: _level(given(name), given(f"{name}_count")) for name in ("stock", "other_stock")}
    return row | {"twice": row["total"] * 2 + row["stock"]}


def _bytewise(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _level(moves: list[tuple[tuple[Any, ...], Any]], counts: list[tuple[tuple[Any, ...], Any]]) -> int:
    """The newest count and the moves dated strictly after it (domain.md 2)."""
    if not counts:
        return sum(delta for _, delta in moves)
    (counted_at, *_), count = counts[-1]
    return int(count + sum(delta for (at, *_), delta in moves if at > counted_at))


def differences(got: Rows, wanted: Rows) -> list[str]:
    """What differs, cell by cell."""
    out = [f"{key}: only on one side" for key in got.keys() ^ wanted.keys()]
    for key in got.keys() & wanted.keys():
        left, right = got[key], wanted[key]
        out += [
            f"{key} {name}: got {left.get(name)!r}, wanted {right.get(name)!r}"
            for name in left.keys() | right.keys()
            if left.get(name) != right.get(name)
        ]
    return sorted(out)


# --- contributions as the runtime makes them ---------------------------------------------------------------


def contributed(part: Sequence[Contribution]) -> TableDeltas:
    """What a handler's rows that say the same are turned into."""
    given = sorted({name for one in part for name in one.values})
    types = {name: TABLE.column(name.removesuffix("_count")).dtype for name in given}
    data = {
        "sku": [one.key[0] for one in part],
        "place": [one.key[1] for one in part],
        **{name: [one.values.get(name) for one in part] for name in given},
        AT: [one.at for one in part],
        "seq": [one.seq for one in part],
        "event_id": [one.event_id for one in part],
        "ordinal": [one.ordinal for one in part],
    }
    instant = pl.Datetime("us", "UTC")
    schema = {"sku": pl.String(), "place": pl.Int64(), **types, AT: instant, "seq": pl.Int64()}
    rows = pl.DataFrame(data, schema={**schema, "event_id": pl.String(), "ordinal": pl.Int64()})
    place = order_key(pl.col(AT), pl.col("seq"), pl.col("event_id"), pl.col("ordinal"))
    return contributions(TABLE, rows.with_columns(place.alias(ORDER)).drop("seq", "event_id", "ordinal"))


class MergeContract:
    """The contract; see the module."""

    histories = 40

    def merged(self, parts: Sequence[Sequence[Contribution]]) -> Rows:
        """The rows, by key, after these parts one after the other. To be overridden."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [1, 2, 5, 30, 120])
    def test_random_histories_in_random_pieces_give_the_rows_of_the_oracle(self, size: int) -> None:
        for seed in range(self.histories):
            chance = random.Random(f"merge {size} {seed}")
            all_ = history(chance, size)
            wanted = expected(all_)
            assert differences(self.merged(splits(chance, all_)), wanted) == [], f"size {size}, seed {seed}"

    def test_one_by_one_gives_the_same(self) -> None:
        all_ = history(random.Random("one by one"), 40)
        assert self.merged([[one] for one in all_]) == expected(all_)
        assert self.merged([[one] for one in reversed(all_)]) == expected(all_)

    def test_nothing_gives_no_rows(self) -> None:
        assert self.merged([[]]) == {}

    def test_a_key_without_values_is_a_row(self) -> None:
        one = Contribution(("a", 1), START, None, "e", 0, {})
        assert self.merged([[one]]) == expected([one])

    def test_the_newest_count_counts_with_the_moves_strictly_after_it(self) -> None:
        def at(seconds: int, **values: int) -> Contribution:
            return Contribution(
                ("a", 0), START + timedelta(seconds=seconds), None, f"{seconds}{values}", 0, values
            )

        all_ = [at(1, stock=5), at(2, stock=7), at(2, stock_count=100), at(3, stock=-4), at(1, stock_count=9)]
        for seed in range(20):
            (row,) = self.merged(splits(random.Random(seed), all_)).values()
            assert row["stock"] == 96

    def test_a_count_heard_of_late_takes_back_what_it_includes(self) -> None:
        def at(seconds: int, **values: int) -> Contribution:
            return Contribution(("a", 0), START + timedelta(seconds=seconds), None, f"{seconds}", 0, values)

        (row,) = self.merged(
            [[at(5, stock=5)], [at(9, stock=1)], [at(7, stock_count=50)], [at(6, stock=2)]]
        ).values()
        assert row["stock"] == 51
