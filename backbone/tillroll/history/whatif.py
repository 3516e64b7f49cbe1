"""The same history under another rule: how the rows of a projection would differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tillroll.history.answer import key_columns
from tillroll.history.scan import Slice
from tillroll.history.view import History, Past
from tillroll.projection.declare import Projection
from tillroll.projection.failures import Failure
from tillroll.store.comparing import Changed, TableDifference

__all__ = ["WhatIf", "what_if"]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """How the views differ (live: the rule at hand, candidate: the other), and rows that do, by view.

    failures: events that the rule at hand, and that the other, could not take.
    """

    projection: str
    events: int
    views: Sequence[TableDifference]
    samples: Mapping[str, Sequence[Changed]]
    failures: tuple[Sequence[Failure], Sequence[Failure]]

    @property
    def same(self) -> bool:
        """Whether readers would see the same rows and columns."""
        return all(view.same and view.same_columns for view in self.views)


def what_if(
    history: History,
    projection: type[Projection],
    other: type[Projection],
    slice_: Slice,
    sample: int,
) -> WhatIf:
    """Fold the slice by both rules in one reading and compare every view; at most `sample` rows of each are kept.

    Views are matched by name: of one that is called as its projection, by that. Raises as History.past does.
    """
    now, then = history.pasts([projection, other], slice_)
    views, samples = list[TableDifference](), dict[str, Sequence[Changed]]()
    for name in dict.fromkeys([*now.views, *_renamed(projection, other, then)]):
        difference, rows = _difference(name, projection, other, now, then, sample)
        views.append(difference)
        if rows:
            samples[name] = rows
    return WhatIf(projection.name, now.events, views, samples, (now.failures, then.failures))


def _renamed(projection: type[Projection], other: type[Projection], then: Past) -> dict[str, str]:
    """The views of `other` under the names that they have or would have in `projection`."""
    return {_as_in(projection, other, view): view for view in then.views}


def _as_in(projection: type[Projection], other: type[Projection], view: str) -> str:
    named = view == other.name or view.startswith(f"{other.name}_")
    return projection.name + view.removeprefix(other.name) if named else view


def _difference(
    name: str, projection: type[Projection], other: type[Projection], now: Past, then: Past, sample: int
) -> tuple[TableDifference, list[Changed]]:
    there = _renamed(projection, other, then).get(name)
    old, new = now.views.get(name), None if there is None else then.views[there]
    old_keys = key_columns(projection, name) if old is not None else None
    new_keys = key_columns(other, there) if there is not None else None
    old_rows, new_rows = _or_empty(old, new), _or_empty(new, old)
    found = _Found(name, old_rows, new_rows)
    wanted = (old_keys or set()) | (new_keys or set())
    keys = [column for column in found.shared if column in wanted]
    if wanted & (set(old_rows.columns) | set(new_rows.columns)) != set(keys) or (
        old_keys is not None and new_keys is not None and old_keys != new_keys
    ):
        return found.told(None, None, None, {}), []
    if keys and not any(rows.select(keys).is_duplicated().any() for rows in (old_rows, new_rows)):
        return found.by_key(keys, sample)
    return found.by_row(sample)


def _or_empty(rows: pl.DataFrame | None, like: pl.DataFrame | None) -> pl.DataFrame:
    """`rows`; a view that one of the two lacks has no rows there."""
    if rows is not None:
        return rows
    assert like is not None
    return like.clear()


class _Found:
    """Two frames of one view, compared."""

    def __init__(self, name: str, old: pl.DataFrame, new: pl.DataFrame):
        self.name, self.old, self.new = name, old, new
        self.shared = [
            column
            for column in old.columns
            if column in new.columns and old[column].dtype == new[column].dtype
        ]

    def told(
        self, added: int | None, removed: int | None, changed: int | None, columns: Mapping[str, int]
    ) -> TableDifference:
        return TableDifference(
            self.name,
            self.name,
            len(self.old),
            len(self.new),
            added is not None,
            added,
            removed,
            changed,
            columns,
            tuple(column for column in self.old.columns if column not in self.shared),
            tuple(column for column in self.new.columns if column not in self.shared),
        )

    def by_key(self, keys: list[str], sample: int) -> tuple[TableDifference, list[Changed]]:
        """Rows found in each other by their key."""
        left = self.old.with_columns(_left=pl.lit(True))
        right = self.new.select(pl.all().name.suffix("__new"), _right=pl.lit(True))
        both = left.join(
            right,
            left_on=keys,
            right_on=[f"{key}__new" for key in keys],
            how="full",
            coalesce=False,
            nulls_equal=True,
        )
        values = [column for column in self.shared if column not in keys]
        differs = {column: pl.col(column).ne_missing(pl.col(f"{column}__new")) for column in values}
        there = pl.col("_left").is_not_null() & pl.col("_right").is_not_null()
        marked = both.with_columns(_changed=there & pl.any_horizontal(pl.lit(False), *differs.values()))
        changed = marked.filter("_changed")
        added, removed = (int(marked[side].null_count()) for side in ("_left", "_right"))
        columns = {column: int(changed.select(differs[column].sum()).item()) for column in values}
        told = self.told(added, removed, len(changed), {name: rows for name, rows in columns.items() if rows})
        mine = marked.filter(pl.col("_changed") | ~there)
        at = [pl.coalesce(key, f"{key}__new") for key in keys]
        return told, [self._row(row, keys) for row in mine.sort(at).head(sample).iter_rows(named=True)]

    def _row(self, row: Mapping[str, Any], keys: Sequence[str]) -> Changed:
        old = {column: row[column] for column in self.old.columns} if row["_left"] else None
        new = {column: row[f"{column}__new"] for column in self.new.columns} if row["_right"] else None
        found = old or new or {}
        return Changed({key: found[key] for key in keys}, old, new)

    def by_row(self, sample: int) -> tuple[TableDifference, list[Changed]]:
        """Rows without a key of their own: each is found among the others or it is not, as often as it is there."""
        old, new = (_numbered(rows.select(self.shared)) for rows in (self.old, self.new))
        gone = old.join(new, on=old.columns, how="anti", nulls_equal=True).drop("_nth")
        came = new.join(old, on=new.columns, how="anti", nulls_equal=True).drop("_nth")
        rows = [Changed(row, row, None) for row in gone.head(sample).iter_rows(named=True)]
        rows += [Changed(row, None, row) for row in came.head(sample - len(rows)).iter_rows(named=True)]
        return self.told(len(came), len(gone), 0, {}), rows


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """With `_nth`, which tells equal rows apart."""
    return rows.with_columns(_nth=pl.int_range(pl.len()).over(rows.columns) if rows.width else pl.lit(0))
