"""What contradicts itself in a declaration is refused where it is declared, in one line that names it."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from tillroll.contract.registry import load_contract
from tillroll.errors import DeclarationError
from tillroll.events import EventCorrected, StockReceived
from tillroll.projection import Derived, Frame, Key, Projection, Sum, Table, derived, on


def shelf(sql: str) -> type[Projection]:
    """A projection whose table `units` has the derived column `free` of this SQL."""

    class Shelf(Projection):
        class Units(Table):
            sku: Key[str]
            on_hand: Sum[int]
            free: Derived[int] = derived(sql)

        @on(StockReceived)
        def received(self, events: Frame) -> Frame:
            return events

    return Shelf


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("on_hand -", "unable to parse"),
        ("on_hand, 1", "unexpected token ','"),
        ("", "unable to parse"),
        ("frobnicate(on_hand)", "unsupported function 'frobnicate'"),
        ("on_hand - reserved", "there is no column reserved; it may use sku, on_hand"),
        ("on_hand - reserved + gone - reserved", "there are no columns reserved, gone; it may use"),
        ("on_hand - free", "there is no column free"),
    ],
)
def test_a_derived_column_that_is_no_sql_of_the_table_is_refused_by_name(sql: str, reason: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        shelf(sql)
    told = str(refused.value)
    assert told.startswith(
        f"projection shelf, table units: the derived column free = {sql!r} cannot be evaluated: "
    )
    assert reason in told
    assert "\n" not in told


def test_a_derived_column_of_the_tables_columns_is_accepted() -> None:
    (table,) = shelf("case when sku <> '' then coalesce(on_hand, 0) * 2 end").tables
    assert [expression.name for expression in table.derived] == ["free"]


def test_a_derived_column_without_sql_is_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match=r"Shelf\.free: give its SQL"):

        class Shelf(Projection):
            sku: Key[str]
            free: Derived[int]

            @on(StockReceived)
            def received(self, events: Frame) -> Frame:
                return events


def test_two_tables_with_one_view_are_refused_naming_both() -> None:
    with pytest.raises(
        DeclarationError, match=r"^Shelf: table Units and table Boxes both have the view goods;"
    ):

        class Shelf(Projection):
            class Units(Table):
                view = "goods"
                sku: Key[str]

            class Boxes(Table):
                view = "goods"
                box: Key[str]

            @on(StockReceived)
            def received(self, events: Frame) -> Frame:
                return events


def test_a_further_view_that_is_called_like_a_table_is_refused_naming_both() -> None:
    with pytest.raises(
        DeclarationError, match=r"^Shelf: table Shelf and views\['shelf'\] both have the view shelf;"
    ):

        class Shelf(Projection):
            views: ClassVar[Mapping[str, str]] = {"shelf": "select 1"}
            sku: Key[str]

            @on(StockReceived)
            def received(self, events: Frame) -> Frame:
                return events


def test_corrections_are_read_on_every_topic() -> None:
    class Corrections(Projection):
        """How often an event was corrected."""

        corrects: Key[str]
        times: Sum[int]

        @on(EventCorrected)
        def corrected(self, events: Frame) -> Frame:
            """One more."""
            return events.select("corrects", times=1)

    assert Corrections.topics() == tuple(sorted(load_contract().topics))
