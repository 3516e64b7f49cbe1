"""Every cell of a read model explained from the log, and every row followed through time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.history.logs import CONTRACT, filled, now_between, publish, put

from tillroll.errors import UsageError
from tillroll.events import StockReceived
from tillroll.history import row
from tillroll.history.row import changes, explained, key_of, parts_of, table_of
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.projection.declare import TableSpec
from tillroll.projection.registry import load_projections
from tillroll.testing import event
from tillroll.testing.kit import NOON
from tillroll.testing.order_free import START, generated_history
from tillroll.testing.unsettled import UnsettledLog

KNOWN = load_projections()
PROJECTIONS = [pytest.param(each, id=each.name) for each in KNOWN.values()]


@pytest.fixture(params=["pushed down", "all decoded"])
def pushing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "all decoded":
        monkeypatch.setattr(row, "texts_of", lambda *args: [])
    return str(request.param)


def rows_of(history: History, projection: type[Projection], slice_: Slice) -> Iterator[tuple[TableSpec, Any]]:
    found = history.past(projection, slice_)
    for table in projection.tables:
        for each in found.views[table.view].iter_rows(named=True):
            yield table, each


@pytest.mark.usefixtures("pushing")
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_last_total_is_the_cell_for_every_cell(projection: type[Projection]) -> None:
    log = filled(generated_history(projection, seed=12, size=30), UnsettledLog())
    publish(log, generated_history(projection, seed=12, size=5))
    history, slice_ = History(log, CONTRACT), Slice(as_of=START + timedelta(minutes=4))
    seen = 0
    for table, found in rows_of(history, projection, slice_):
        key = {name: found[name] for name in table.key}
        for column in table.values[:3]:
            told = explained(history, projection, table, key, column.name, slice_)
            assert told.value == found[column.name]
            assert not told.parts or told.parts[-1].total == told.value
            seen += len(told.parts)
    assert seen


@pytest.mark.usefixtures("pushing")
@pytest.mark.parametrize("by", ["occurred", "recorded"])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_last_change_is_the_row_for_every_row(projection: type[Projection], by: str) -> None:
    history = History(filled(generated_history(projection, seed=13, size=25)), CONTRACT)
    for table, found in rows_of(history, projection, Slice()):
        key = {name: found[name] for name in table.key}
        told = list(changes(parts_of(history, projection, table, key, Slice()), by))
        assert told[-1].row == found
        (last,) = changes(parts_of(history, projection, table, key, Slice()), by, last=1)
        assert last == told[-1]


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_row_after_an_event_is_that_as_of_its_time(projection: type[Projection]) -> None:
    """Also around voids, which take back from their own time on."""
    history = History(filled(generated_history(projection, seed=14, size=40)), CONTRACT)
    rows = list(rows_of(history, projection, Slice()))
    compared = 0
    for table, found in rows[:: max(1, len(rows) // 4)]:
        key = {name: found[name] for name in table.key}
        told = list(changes(parts_of(history, projection, table, key, Slice())))
        for at in {change.occurred_at for change in told}:
            (last,) = [change for change in told if change.occurred_at <= at][-1:]
            past = history.past(projection, Slice(as_of=at)).views[table.view].rows(named=True)
            assert last.row in past
            compared += 1
    assert compared


class Units(Projection):
    """Refuses the quantity 13."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All but one."""
        if (events.polars["quantity"] == 13).any():
            raise ValueError("unlucky")
        return events.select("sku", units="quantity")


def received(quantity: int, minutes: int) -> StockReceived:
    at = NOON + timedelta(minutes=minutes)
    return event(StockReceived, at=at, sku="a", location_id="s", quantity=quantity)


def totals(history: History, by: str) -> list[int]:
    parts = parts_of(history, Units, Units.tables[0], {"sku": "a"}, Slice())
    return [change.row["units"] for change in changes(parts, by)]


def test_changes_come_as_they_happened_or_as_they_became_known() -> None:
    log = filled([])
    for quantity, minutes in ((1, 3), (10, 2), (100, 1)):
        put(log, 0, received(quantity, minutes))
        now_between()
    assert totals(History(log, CONTRACT), "occurred") == [100, 110, 111]
    assert totals(History(log, CONTRACT), "recorded") == [1, 11, 111]


def test_an_event_that_its_handler_cannot_take_is_left_out() -> None:
    log = filled([received(1, 1), received(13, 2), received(4, 3)])
    assert totals(History(log, CONTRACT), "occurred") == [1, 5]


def test_a_row_without_events_has_no_changes() -> None:
    assert totals(History(filled([]), CONTRACT), "occurred") == []


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("store_availability_stock", "store_availability_stock"),
        ("channel_sales", "channel_sales"),
        ("products", "products"),
    ],
)
def test_a_table_is_named_by_its_view_or_its_projection(name: str, view: str) -> None:
    assert table_of(name, KNOWN.values())[1].view == view


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("store_availability", r"several tables; .* store_availability_stock \(sku, location_id\)"),
        ("orders", r"there is no table 'orders'; there are channel_sales \(business_date"),
    ],
)
def test_what_is_no_table_says_which_there_are(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        table_of(name, KNOWN.values())


STOCK = KNOWN["store_availability"].table("stock")


def test_a_key_is_typed_and_may_be_empty() -> None:
    assert key_of(STOCK, [("sku", "1"), ("location_id", "")]) == {"sku": "1", "location_id": ""}
    table = KNOWN["channel_sales"].tables[0]
    given = [(name, "2026-03-14") for name in table.key]
    assert key_of(table, given)["business_date"].isoformat() == "2026-03-14"


@pytest.mark.parametrize(
    "given",
    [[("sku", "1")], [("sku", "1"), ("place", "2")], [("sku", "1"), ("sku", "2"), ("location_id", "s")]],
)
def test_the_whole_key_has_to_be_given(given: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError, match=r"sku=\.\.\. location_id=\.\.\."):
        key_of(STOCK, given)
