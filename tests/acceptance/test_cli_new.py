"""`tillroll new projection`: what it writes works at once, in a folder of one's own and in a checkout."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tillroll import settings
from tillroll.cli.scaffold import class_name, new_projection
from tillroll.errors import TillrollError, UsageError
from tillroll.events import event_id_for

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

REPOSITORY = Path(__file__).parents[2]
RECEIVED = {
    "type": "StockReceived",
    "event_id": event_id_for("test", "StockReceived", "1"),
    "source": "wms",
    "channel": "warehouse",
    "occurred_at": "2026-03-14T09:30:00Z",
    "sku": "shoe-42",
    "location_id": "store-7",
    "quantity": 3,
}


def test_a_new_projection_runs_and_answers(
    tillroll: Tillroll, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tillroll("new", "projection", "goods_in")
    assert "goods_in.py written" in result.stdout
    assert "export TILLROLL_PROJECTIONS=." in result.stdout
    monkeypatch.setenv(settings.PROJECTIONS, ".")
    tillroll("publish", "-", input=json.dumps(RECEIVED))
    tillroll("project", "goods_in", "--once")
    (row,) = rows("goods_in")
    assert (row["sku"], row["location_id"], row["units"]) == ("shoe-42", "store-7", 3)


@pytest.mark.parametrize("name", ["goods_in", "sales_2026"])
def test_its_own_test_passes_and_it_is_what_the_linter_leaves(tmp_path: Path, name: str) -> None:
    files, steps = new_projection(name, [], tmp_path)
    assert steps[0] == f"pytest {files[1]}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(files[1])]
    done = subprocess.run(tests, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout
    assert_tidy(files, tmp_path, ["--isolated", "--line-length", "110"], ["--extend-select", "I"])


def assert_tidy(
    files: list[Path], folder: Path, options: Sequence[str] = (), rules: Sequence[str] = ()
) -> None:
    """Nothing to say for the linter, nothing to do for the formatter."""
    for command in (["check", *rules], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, *options, "--no-cache", *map(str, files)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_in_a_checkout_it_goes_where_projections_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("schemas/tillroll/schemas", "projections/tillroll/projections", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "schemas/tillroll/schemas/topics.toml").touch()
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    monkeypatch.chdir(tmp_path / "docs")
    files, steps = new_projection("goods_in", [])
    assert [path.resolve() for path in files] == [
        tmp_path / "projections/tillroll/projections/goods_in.py",
        tmp_path / "tests/unit/projections/test_goods_in.py",
    ]
    assert "from tillroll.projections.goods_in import GoodsIn" in files[1].read_text()
    assert not any("TILLROLL_PROJECTIONS" in step for step in steps)
    assert_tidy([path.resolve() for path in files], tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "GoodsIn",
        "goods-in",
        "2goods",
        "_goods",
        "goods__in",
        "goods_",
        "",
        "a/b",
        "../goods",
        "class",
        "test_goods",
        "x" * 51,
    ],
)
def test_a_name_that_cannot_be_is_a_usage_error_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a projection"):
        new_projection(name, [], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_a_usage_error(tillroll: Tillroll) -> None:
    assert "channel_sales already" in tillroll("new", "projection", "channel_sales", code=2).stderr


@pytest.mark.parametrize("file", ["goods_in.py", "test_goods_in.py"])
def test_nothing_is_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("mine")
    with pytest.raises(TillrollError, match="is there already"):
        new_projection("goods_in", [], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


def test_the_class_is_named_after_the_projection() -> None:
    assert [class_name(name) for name in ("goods_in", "sales_2026", "x")] == ["GoodsIn", "Sales2026", "X"]
