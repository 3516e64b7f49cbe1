"""docs/add-a-projection.md, followed to the letter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tillroll.events import ParcelShipped
from tillroll.projection.registry import load_projections
from tillroll.testing import event, given
from tillroll.testing.order_free import assert_order_free

PAGE = (Path(__file__).parents[3] / "docs/add-a-projection.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """The code blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    names = ("returns_by_reason.py", "test_returns_by_reason.py", "carriers.py")
    for name, text in zip(names, blocks("python"), strict=True):
        assert name in PAGE.split(text)[0][-400:], f"the page does not say that this is {name}"
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TILLROLL_DATA": str(folder / "data")}
    for name in ("TILLROLL_LOG", "TILLROLL_STORE", "TILLROLL_PROJECTIONS"):
        environment.pop(name, None)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_test_on_the_page_passes_and_would_fail(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_returns_by_reason.py"]
    done = run(command, folder)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    test = folder / "test_returns_by_reason.py"
    test.write_text(test.read_text().replace('"units": 3', '"units": 4'))
    shown = next(block for block in blocks("text") if "is not as expected" in block)
    failed = run(command, folder)
    assert failed.returncode == 1
    for line in shown.splitlines():
        assert line.strip() in failed.stdout


def test_the_commands_on_the_page_show_the_row(folder: Path) -> None:
    (script,) = blocks("sh")
    done = run(["sh", "-ec", script], folder)
    assert done.returncode == 0, done.stderr
    assert "store-7" in done.stdout
    assert "too small" in done.stdout


def test_several_tables_are_joined_as_the_page_says(folder: Path) -> None:
    carriers = load_projections([folder])["carriers"]
    shipped = event(
        ParcelShipped,
        order_id="o",
        parcel_id="p",
        carrier="bike",
        lines=[{"sku": sku, "location_id": "s", "quantity": 1} for sku in ("a", "b", "b")],
    )
    given(shipped).when(carriers).then([{"carrier": "bike", "parcels": 1, "products": 2}])
    assert_order_free(carriers)
