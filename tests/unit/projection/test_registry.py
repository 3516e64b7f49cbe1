"""Which projections may stand beside each other."""

from pathlib import Path

import pytest

from tillroll.errors import DeclarationError
from tillroll.projection.registry import load_projections, view_names

HEAD = """
from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Projection, Sum, Table, on

"""
ONE_TABLE = """
class {name}(Projection):
    views = {views}
    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        return events.select("sku", units="quantity")
"""
NAMED_TABLE = """
class Arrivals(Projection):
    class Units(Table):
        view = "{view}"
        sku: Key[str]
        units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame):
        return {{self.Units: events.select("sku", units="quantity")}}
"""


def folder(path: Path, *declarations: str) -> Path:
    """A folder with a file for each projection."""
    path.mkdir()
    for number, text in enumerate(declarations):
        (path / f"own_{number}.py").write_text(HEAD + text, encoding="utf-8")
    return path


def one_table(name: str, **views: str) -> str:
    return ONE_TABLE.format(name=name, views=views)


@pytest.mark.parametrize(
    ("declarations", "first", "second", "view"),
    [
        ([one_table("OrderStatusLines")], "order_status", "order_status_lines", "order_status_lines"),
        ([NAMED_TABLE.format(view="channel_sales")], "channel_sales", "arrivals", "channel_sales"),
        ([one_table("GoodsIn", goods="select 1"), one_table("Goods")], "goods_in", "goods", "goods"),
        ([one_table("A", both="select 1"), one_table("B", both="select 1")], "a", "b", "both"),
    ],
)
def test_two_projections_with_one_view_are_refused_naming_both(
    tmp_path: Path, declarations: list[str], first: str, second: str, view: str
) -> None:
    with pytest.raises(DeclarationError) as refused:
        load_projections([folder(tmp_path / "own", *declarations)])
    told = str(refused.value)
    assert f"{first} (in" in told
    assert f"{second} (in" in told
    assert f"both have a view {view};" in told


def test_projections_with_views_of_their_own_stand_beside_each_other(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", one_table("GoodsIn", goods="select 1"), NAMED_TABLE.format(view="arrived"))
    found = load_projections([own])
    assert view_names(found["goods_in"]) == ("goods_in", "goods")
    assert view_names(found["arrivals"]) == ("arrived",)


def test_a_file_that_exits_is_refused_like_any_that_raises(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"cannot be imported: SystemExit: 4"):
        load_projections([folder(tmp_path / "own", "import sys\nsys.exit(4)")])
