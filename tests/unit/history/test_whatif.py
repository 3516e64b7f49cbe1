"""The same history under another rule: no difference where there is none, and otherwise the very rows."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.unit.history.logs import CONTRACT, filled, put

from tillroll.errors import UsageError
from tillroll.events import StockAdjusted, StockReceived
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.history.whatif import WhatIf, what_if
from tillroll.projection import Frame, Key, Projection, Sum, Table, on
from tillroll.projection.registry import load_file, load_projections, view_names
from tillroll.testing import event
from tillroll.testing.order_free import generated_history

ROOT = Path(__file__).parents[3] / "projections" / "tillroll" / "projections"
MODULES = {"locations": "reference", "products": "reference"}


@pytest.mark.parametrize("name", sorted(load_projections()))
def test_the_same_rule_gives_no_difference(name: str, tmp_path: Path) -> None:
    copied = tmp_path / "copied.py"
    shutil.copy(ROOT / f"{MODULES.get(name, name)}.py", copied)
    projection, other = load_projections()[name], load_file(copied, name)
    assert other is not projection
    history = History(filled(generated_history(projection, seed=31, size=150)), CONTRACT)
    found = what_if(history, projection, other, Slice(), 5)
    assert found.same
    assert found.samples == {}
    assert [view.view for view in found.views] == list(view_names(projection))
    assert all(view.live_rows == view.candidate_rows > 0 for view in found.views)


class Units(Projection):
    """Units received."""

    sku: Key[str]
    units: Sum[int]
    events: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Adds up."""
        return events.select("sku", units="quantity", events=1)


class Stricter(Projection):
    """Units received, and adjusted, but none of hats."""

    name = "units"
    sku: Key[str]
    units: Sum[int]
    events: Sum[int]

    @on(StockReceived, StockAdjusted)
    def moved(self, events: Frame) -> Frame:
        """Adds up."""
        return events.filter(pl.col("sku") != "hat").select("sku", units="quantity", events=1)


class ByPlace(Projection):
    """Keyed otherwise."""

    name = "units"
    sku: Key[str]
    location_id: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Adds up."""
        return events.select("sku", "location_id", units="quantity")


class Renamed(Projection):
    """Called otherwise, with a column more and one less."""

    sku: Key[str]
    units: Sum[int]
    twice: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Adds up."""
        return events.select("sku", units="quantity", twice="quantity")


class Listed(Projection):
    """A view whose rows have no key of their own."""

    name = "units"
    views = {"units": "select sku from {moves}"}  # noqa: RUF012

    class Moves(Table):
        """Each move."""

        event_id: Key[str]
        sku: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As they are."""
        return events.select("event_id", sku="quantity")


class ListedTwice(Listed):
    """The same, of moves twice the size."""

    name = "units"
    views = {"units": "select sku * 2 as sku from {moves}"}  # noqa: RUF012

    class Moves(Table):
        """Each move."""

        event_id: Key[str]
        sku: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """As they are."""
        return events.select("event_id", sku="quantity")


def asked(projection: type[Projection], other: type[Projection], sample: int = 5) -> WhatIf:
    log = filled([])
    for kind, sku, quantity in (
        (StockReceived, "shoe", 3),
        (StockReceived, "shoe", 6),
        (StockReceived, "hat", 5),
        (StockReceived, "coat", 6),
        (StockAdjusted, "shoe", -1),
        (StockAdjusted, "sock", 9),
    ):
        put(log, 0, event(kind, sku=sku, location_id="s", quantity=quantity))
    return what_if(History(log, CONTRACT), projection, other, Slice(), sample)


def test_rows_that_come_go_and_change_are_told_with_samples() -> None:
    found = asked(Units, Stricter)
    (view,) = found.views
    assert (view.added, view.removed, view.changed) == (1, 1, 1)
    assert (view.live_rows, view.candidate_rows, view.columns) == (3, 3, {"units": 1, "events": 1})
    assert not found.same
    assert [(row.key, row.live, row.candidate) for row in found.samples["units"]] == [
        ({"sku": "hat"}, {"sku": "hat", "units": 5, "events": 1}, None),
        ({"sku": "shoe"}, {"sku": "shoe", "units": 9, "events": 2}, {"sku": "shoe", "units": 8, "events": 3}),
        ({"sku": "sock"}, None, {"sku": "sock", "units": 9, "events": 1}),
    ]
    assert len(asked(Units, Stricter, sample=1).samples["units"]) == 1
    assert asked(Units, Stricter, sample=0).samples == {}


def test_rows_of_another_key_cannot_be_matched() -> None:
    (view,) = asked(Units, ByPlace).views
    assert (view.comparable, view.added, view.same) == (False, None, False)


def test_another_name_is_no_difference_and_other_columns_are_told() -> None:
    found = asked(Units, Renamed)
    (view,) = found.views
    assert (view.view, view.added, view.removed, view.changed) == ("units", 0, 0, 0)
    assert (view.only_live, view.only_candidate, found.same) == (("events",), ("twice",), False)


def test_a_view_that_one_lacks_has_no_rows_there() -> None:
    found = {view.view: view for view in asked(Listed, Units).views}
    assert found["units_moves"].removed == found["units_moves"].live_rows == 4
    assert found["units_moves"].candidate_rows == 0


def test_rows_without_a_key_are_matched_whole_as_often_as_they_are_there() -> None:
    (view,) = [view for view in asked(Listed, ListedTwice).views if view.view == "units"]
    assert (view.live_rows, view.added, view.removed) == (4, 3, 3)  # 3 6 5 6 against 6 12 10 12


# --- the file -------------------------------------------------------------------------------------------

ONE = """
from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Projection, Sum, on

class {name}(Projection):
    \"\"\"Units.\"\"\"
    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        \"\"\"Adds up.\"\"\"
        return events.select("sku", units="quantity")
"""


def test_the_only_projection_of_a_file_is_meant_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(ONE.format(name="Other"))
    assert load_file(file, "units").name == "other"
    file.write_text(ONE.format(name="Other") + ONE.format(name="Units"))
    assert load_file(file, "units").name == "units"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no such file"),
        ("", "no projection 'units', and no other"),
        (ONE.format(name="One") + ONE.format(name="Two"), "no projection 'units', but one, two"),
    ],
)
def test_a_file_without_it_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "some.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=told):
        load_file(file, "units")
