"""The page for analysts and its notebook are run as they stand, over an imported history."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Tillroll = Callable[..., Result]

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def imported(tillroll: Tillroll) -> Tillroll:
    """The history that the demo begins with, and the read models of it; in an empty folder."""
    tillroll("import", "tpcds", "--scale", "0.01")
    tillroll("project", "--once")
    return tillroll


def run(text: str, space: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line if that is an expression."""
    body = ast.parse(text).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), space)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), space) if last else None  # type: ignore[attr-defined]


def test_every_cell_of_the_notebook_runs_and_shows_something(imported: Tillroll) -> None:
    notebook = json.loads((DOCS / "analysis.ipynb").read_text(encoding="utf-8"))
    space: dict[str, Any] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        value = run("".join(cell["source"]), space)
        assert (value is not None) == bool(cell["outputs"])
        assert not hasattr(value, "columns") or len(value), cell["source"]
    assert len(cells) > 8


def test_the_page_does_what_it_says(imported: Tillroll, tmp_path: Path) -> None:
    text = (DOCS / "analysis.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    space: dict[str, Any] = {}
    run(block, space)
    assert all(len(space[name]) > 100 for name in ("web", "sales", "parts", "rows"))
    rule = Path(__file__).parents[2] / "projections" / "tillroll" / "projections" / "channel_sales.py"
    (tmp_path / "other_rule.py").write_text(rule.read_text(encoding="utf-8"), encoding="utf-8")
    commands = re.findall(r"^    tillroll (.+)$", text, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        assert imported(*command.split()).stdout
    stock = imported("query", "store_availability", "sku=1", "location_id=warehouse-1", "--json").stdout
    assert space["parts"]["total"][-1] == json.loads(stock)[0]["on_hand"]


def test_the_past_of_now_is_the_present(imported: Tillroll) -> None:
    for name in ("channel_sales", "store_availability", "order_status", "customer_history"):
        now = imported("query", name, "--csv").stdout
        then = imported("query", name, "--csv", "--as-of", "2100-01-01").stdout
        assert sorted(now.splitlines()) == sorted(then.splitlines())
        assert len(now.splitlines()) > 100
