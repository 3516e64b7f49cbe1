"""`tillroll import`: what a history became, what was left out, and the same again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

INVOICES = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,six,2010-12-01 08:26:00,3.39,17850,United Kingdom
536366,22633,HAND WARMER UNION JACK,6,2010-12-01 08:28:00,1.85,17850,United Kingdom
C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom
"""


@pytest.fixture
def invoices(tmp_path: Path) -> Path:
    path = tmp_path / "2010-12-01.csv"
    path.write_text(INVOICES)
    return path


def test_an_import_tells_events_by_type_and_rows_left_out_by_reason(
    tillroll: Tillroll, invoices: Path
) -> None:
    told = json.loads(tillroll("import", "online-retail", invoices, "--json").stdout)
    assert told["events"]["OrderPlaced"] == 2
    assert told["published"] == sum(told["events"].values())
    assert sum(told["rejects"].values()) == 1
    text = tillroll("import", "online-retail", invoices).stdout
    assert "OrderPlaced" in text
    assert next(iter(told["rejects"])) in text


def test_importing_again_adds_nothing(tillroll: Tillroll, invoices: Path, rows: Rows) -> None:
    first = json.loads(tillroll("import", "online-retail", invoices, "--json").stdout)
    again = json.loads(tillroll("import", "online-retail", invoices, "--json").stdout)
    assert (again["published"], again["duplicates"]) == (0, first["published"])
    tillroll("project", "--once")
    assert sum(row["orders"] for row in rows("channel_sales")) == 2


def test_rows_left_out_are_kept_where_wanted(tillroll: Tillroll, invoices: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    tillroll("import", "online-retail", invoices, "--rejects", rejects)
    (line,) = rejects.read_text().splitlines()
    assert set(json.loads(line)) == {"source", "key", "reason"}


def test_a_changed_file_is_a_conflict_and_exit_code_1(tillroll: Tillroll, invoices: Path) -> None:
    tillroll("import", "online-retail", invoices)
    invoices.write_text(INVOICES.replace("2.55", "2.95"))
    result = tillroll("import", "online-retail", invoices, code=1)
    assert "refused: the log holds other content under the same id" in result.stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gone.csv", None),
        ("picture.csv", b"\x89PNG\0\0\0"),
        ("cut.csv.gz", b"\x1f\x8b\x08\0\0\0"),
        ("other.csv", b"a,b\n1,2\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_nothing_is_published(
    tillroll: Tillroll, tmp_path: Path, invoices: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = tillroll("import", "online-retail", invoices, name, code=1)
    assert name in result.stderr
    assert result.stderr.count("\n") == 1
    assert json.loads(tillroll("import", "online-retail", invoices, "--json").stdout)["duplicates"] == 0


def test_an_input_is_not_overwritten_by_its_rejects(tillroll: Tillroll, invoices: Path) -> None:
    tillroll("import", "online-retail", invoices, "--rejects", invoices, code=2)
    assert invoices.read_text() == INVOICES


@pytest.mark.parametrize("scale", ["-1", "nan", "inf"])
def test_a_scale_that_cannot_be_is_a_usage_error(tillroll: Tillroll, scale: str) -> None:
    assert "scale" in tillroll("import", "tpcds", "--scale", scale, code=2).stderr
