"""Questions about the past, with nothing but the log: `tillroll query --as-of`, `--known-at`, `explain`,
`history`, `what-if`, `export`.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from tillroll import settings
from tillroll.events import event_id_for

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

STOCK = [
    ("shoe-42", "store-7", 3, "2026-03-14T09:30:00Z"),
    ("shoe-42", "store-8", 5, "2026-03-15T09:30:00Z"),
    ("hat", "store-7", 2, "2026-03-16T23:59:59.999Z"),
    ("shoe-42", "store-7", 4, "2026-03-17T00:00:00Z"),
]


def received(entries: Iterable[tuple[str, str, int, str]]) -> str:
    return "\n".join(
        json.dumps(
            {
                "type": "StockReceived",
                "event_id": event_id_for("test", "StockReceived", f"{sku}/{place}/{at}"),
                "source": "wms",
                "channel": "warehouse",
                "occurred_at": at,
                "sku": sku,
                "location_id": place,
                "quantity": units,
            }
        )
        for sku, place, units, at in entries
    )


@pytest.fixture
def stocked(tillroll: Tillroll) -> Tillroll:
    """STOCK published, and never projected."""
    tillroll("publish", "-", input=received(STOCK))
    return tillroll


def found(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(row["sku"], row["location_id"], row["on_hand"]) for row in rows]


def test_a_date_is_the_end_of_that_day(stocked: Tillroll, rows: Rows) -> None:
    past = rows("store_availability", "--as-of", "2026-03-16")
    assert found(past) == [("hat", "store-7", 2), ("shoe-42", "store-7", 3), ("shoe-42", "store-8", 5)]
    past = rows("store_availability", "--as-of", "2026-03-15T09:30")
    assert found(past) == [("shoe-42", "store-7", 3), ("shoe-42", "store-8", 5)]
    assert rows("store_availability", "--as-of", "2026-03-13") == []


def test_what_was_known_at_a_time_is_what_was_recorded_by_then(stocked: Tillroll, rows: Rows) -> None:
    time.sleep(0.01)
    known = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    stocked("publish", "-", input=received([("hat", "store-7", 100, "2026-03-01T00:00:00Z")]))
    question = ("store_availability", "sku=hat", "--as-of", "2026-04-01")
    assert found(rows(*question)) == [("hat", "store-7", 102)]
    assert found(rows(*question, "--known-at", known)) == [("hat", "store-7", 2)]


def test_it_is_filtered_sorted_limited_and_shown_like_the_present(stocked: Tillroll) -> None:
    stocked("project", "--once")
    for options in (
        [],
        ["sku=shoe-42", "--json"],
        ["--csv"],
        ["--order-by", "-on_hand", "--limit", "2"],
        ["on_hand=7"],
        ["last_moved_at=2026-03-15T10:30+01:00", "--csv"],
    ):
        now = stocked("query", "store_availability", *options).stdout
        assert stocked("query", "store_availability", *options, "--as-of", "2027-01-01").stdout == now
        assert now.count("\n") > 1


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (["store_availability", "--as-of", "noon"], "'noon' is no time; write 2026-11-23"),
        (["stock", "--as-of", "2026-01-01"], "there are channel_sales"),
        (["store_availability", "colour=red", "--known-at", "2026-01-01"], "it has sku"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(
    stocked: Tillroll, question: list[str], told: str
) -> None:
    result = stocked("query", *question, code=2)
    assert told in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


def test_asking_makes_no_embedded_server(
    tillroll: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.LOG)
    told = tillroll("query", "store_availability", "--as-of", "2026-01-01", code=2).stderr
    assert "there is no data in" in told
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_applied_is_left_out_and_said(stocked: Tillroll, postgres_url: str) -> None:
    from tillroll.log.port import Record
    from tillroll.log.postgres import PostgresLog

    log = PostgresLog(postgres_url)
    log.append("stock", 0, [Record(b"", b"junk", event_id_for("test", "x", "junk"))])
    log.close()
    result = stocked("query", "store_availability", "--as-of", "2027-01-01", "--json")
    assert "1 event could not be applied, the first at stock/0" in result.stderr
    assert len(json.loads(result.stdout)) == 3


# --- explain and history --------------------------------------------------------------------------------

SHOE = ("store_availability_stock", "sku=shoe-42", "location_id=store-7")


def test_a_cell_is_explained_by_its_events(stocked: Tillroll) -> None:
    told = json.loads(stocked("explain", *SHOE, "--column", "on_hand", "--json").stdout)
    assert (told["view"], told["key"]) == (SHOE[0], {"sku": "shoe-42", "location_id": "store-7"})
    assert (told["column"], told["rule"], told["value"]) == ("on_hand", "LEVEL", 7)
    assert [(part["value"], part["fate"], part["total"]) for part in told["parts"]] == [
        (3, "adds", 3),
        (4, "adds", 7),
    ]
    first = told["parts"][0]
    assert (first["topic"], first["record"], first["source"]) == ("stock", "StockReceived", "wms")
    assert first["occurred_at"] == "2026-03-14T09:30:00Z"
    assert first["offset"] >= 0


def test_an_explanation_ends_with_the_cell(stocked: Tillroll) -> None:
    lines = stocked("explain", *SHOE, "--column", "on_hand").stdout.splitlines()
    assert lines[0].split() == [
        "occurred_at", "recorded_at", "event", "on_hand", "fate", "total", "source", "place",
    ]  # fmt: skip
    assert len(lines) == 6
    assert lines[-1] == "store_availability_stock sku=shoe-42 location_id=store-7: on_hand = 7 (level)"
    lines = stocked("explain", *SHOE, "--column", "on_hand", "--as-of", "2026-03-14").stdout.splitlines()
    assert lines[-1].endswith("on_hand = 3 (level)")


def test_a_cell_that_no_event_gave_a_value(stocked: Tillroll) -> None:
    told = stocked("explain", *SHOE, "--column", "on_hand", "--as-of", "2026-01-01").stdout
    assert told.endswith("on_hand = unknown (level)\nno event gave it a value\n")


def test_an_empty_text_is_not_unknown(stocked: Tillroll) -> None:
    described = {
        "type": "LocationDescribed",
        "event_id": event_id_for("test", "LocationDescribed", "s"),
        "source": "wms",
        "channel": "store",
        "occurred_at": "2026-03-14T09:30:00Z",
        "location_id": "store-7",
        "name": "",
        "kind": "store",
    }
    stocked("publish", "-", input=json.dumps(described))
    told = stocked("explain", "locations", "location_id=store-7", "--column", "name").stdout
    assert told.endswith("locations location_id=store-7: name = '' (latest)\n")


def test_a_row_is_followed_through_time(stocked: Tillroll) -> None:
    told = json.loads(stocked("history", *SHOE, "--json").stdout)
    assert [(each["record"], each["row"]["on_hand"]) for each in told] == [
        ("StockReceived", 3),
        ("StockReceived", 7),
    ]
    lines = stocked("history", *SHOE, "--by", "recorded", "--limit", "1").stdout.splitlines()
    assert lines[0].split()[:4] == ["occurred_at", "recorded_at", "event", "on_hand"]
    assert lines[2].split()[2:4] == ["StockReceived", "7"]
    assert len(lines) == 3
    assert "no event touched it" in stocked("history", *SHOE, "--as-of", "2026-01-01").stdout


def test_a_table_shows_the_last_changes_and_says_so(stocked: Tillroll) -> None:
    days = [f"2026-05-{day:02}T{hour:02}:00:00Z" for day in range(1, 14) for hour in range(4)]
    stocked("publish", "-", input=received(("shoe-42", "store-7", 1, day) for day in days))
    result = stocked("history", *SHOE)
    assert len(result.stdout.splitlines()) == 52
    assert result.stdout.splitlines()[-1].split()[2:4] == ["StockReceived", "59"]
    assert "the last 50 changes; --limit N shows more" in result.stderr
    assert len(json.loads(stocked("history", *SHOE, "--json").stdout)) == 54


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (["explain", "store_availability", "sku=a", "--column", "on_hand"], "several tables"),
        (["explain", *SHOE[:2], "--column", "on_hand"], "sku=... location_id=..."),
        (["explain", *SHOE, "--column", "units"], "no column 'units', but on_hand"),
        (["explain", *SHOE], "--column"),
        (["history", "orders", "sku=a"], "there is no table 'orders'"),
        (["history", SHOE[0], "sku"], "COLUMN=VALUE"),
        (["history", *SHOE, "--by", "colour"], "--by"),
    ],
)
def test_what_cannot_be_explained_is_one_line_and_exit_code_2(
    stocked: Tillroll, question: list[str], told: str
) -> None:
    result = stocked(*question, code=2)
    assert told in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


# --- what-if --------------------------------------------------------------------------------------------

RULE = """
from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Projection, Sum, on

class ReceivedUnits(Projection):
    \"\"\"Units received per SKU.\"\"\"
    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        \"\"\"Adds up.\"\"\"
        return events.select("sku", units="quantity")
"""


@pytest.fixture
def ruled(stocked: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tillroll:
    """With a projection of one's own, and another rule of it in other.py."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "received_units.py").write_text(RULE)
    (tmp_path / "other.py").write_text(RULE.replace('"quantity"', '"quantity").filter(sku="hat"'))
    monkeypatch.setenv(settings.PROJECTIONS, str(folder))
    return stocked


def test_the_same_rule_makes_no_difference(ruled: Tillroll) -> None:
    told = json.loads(ruled("what-if", "received_units", "--with", "mine/received_units.py", "--json").stdout)
    assert (told["same"], told["events"], told["samples"]) == (True, 4, {})
    lines = ruled("what-if", "received_units", "--with", "mine/received_units.py").stdout.splitlines()
    assert lines[-1] == "the rows are the same"


def test_another_rule_is_shown_by_the_rows_that_differ(ruled: Tillroll) -> None:
    told = json.loads(ruled("what-if", "received_units", "--with", "other.py", "--json").stdout)
    (view,) = told["views"]
    assert (view["added"], view["removed"], view["changed"]) == (0, 1, 0)
    assert told["samples"]["received_units"][0]["live"] == {"sku": "shoe-42", "units": 12}
    past = ("what-if", "received_units", "--with", "other.py", "--as-of", "2026-03-14", "--json")
    assert json.loads(ruled(*past).stdout)["samples"]["received_units"][0]["live"]["units"] == 3
    part = ("what-if", "received_units", "--with", "other.py", "--from", "2026-03-15", "--to", "2026-03-16")
    told = json.loads(ruled(*part, "--json").stdout)
    assert (told["events"], told["samples"]["received_units"][0]["live"]["units"]) == (2, 5)
    lines = ruled("what-if", "received_units", "--with", "other.py").stdout.splitlines()
    assert lines[-1] == "readers would see these differences"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["received_units"], "--with"),
        (["received_units", "--with", "nothing.py"], "no such file"),
        (
            ["received_units", "--with", "other.py", "--from", "2026-03-16", "--to", "2026-03-15"],
            "lies behind",
        ),
        (["received_units", "--with", "/etc/passwd"], "/etc/passwd is no Python file"),
        (["orders", "--with", "other.py"], "there is no projection 'orders'"),
    ],
)
def test_a_rule_that_is_not_there_is_one_line_and_exit_code_2(
    ruled: Tillroll, arguments: list[str], told: str
) -> None:
    result = ruled("what-if", *arguments, code=2)
    assert told in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


# --- export ---------------------------------------------------------------------------------------------

VIEW = "store_availability"


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_are_exported_with_their_types(
    stocked: Tillroll, rows: Rows, tmp_path: Path, suffix: str
) -> None:
    stocked("project", "--once")
    stocked("export", VIEW, f"now.{suffix}")
    told = json.loads(stocked("export", VIEW, f"then.{suffix}", "--as-of", "2026-04-01", "--json").stdout)
    assert told == {"file": f"then.{suffix}", "rows": 3}
    read = pl.read_parquet if suffix == "parquet" else pl.read_ipc
    now, then = read(tmp_path / f"now.{suffix}"), read(tmp_path / f"then.{suffix}")
    assert now.equals(then)
    assert found(now.to_dicts()) == found(rows(VIEW))
    assert now.schema["last_moved_at"] == pl.Datetime("us", "UTC")
    assert now.schema["on_hand"] == pl.Int64()
    assert now.schema["sku"] == pl.String()


def test_csv_is_that_of_query(stocked: Tillroll, tmp_path: Path) -> None:
    stocked("project", "--once")
    stocked("export", VIEW, "some.csv", "sku=shoe-42")
    assert (tmp_path / "some.csv").read_text() == stocked("query", VIEW, "sku=shoe-42", "--csv").stdout


def test_a_read_model_without_rows_is_a_file_with_its_columns(stocked: Tillroll, tmp_path: Path) -> None:
    assert "0 rows written" in stocked("export", VIEW, "none.parquet", "--as-of", "2020-01-01").stdout
    assert pl.read_parquet(tmp_path / "none.parquet").columns[:3] == ["sku", "location_id", "on_hand"]


def test_a_file_is_replaced_only_when_told_and_only_by_a_whole_one(stocked: Tillroll, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("mine")
    past = ("--as-of", "2026-03-14")
    assert "--force replaces it" in stocked("export", VIEW, file, *past, code=2).stderr
    stocked("export", "nothing", file, *past, "--force", code=2)
    assert file.read_text() == "mine"
    stocked("export", VIEW, file, *past, "--force")
    assert file.read_text().count("\n") == 2
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("stock.xlsx", "end it in .parquet, .csv, .arrow"),
        ("stock", "end it in .parquet"),
        ("nowhere/stock.csv", "there is no folder nowhere"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(stocked: Tillroll, file: str, told: str) -> None:
    result = stocked("export", VIEW, file, code=2)
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_leaves_nothing_behind(
    stocked: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 7)
    (tmp_path / ".stock.csv.7").symlink_to("/dev/full")
    result = stocked("export", VIEW, "stock.csv", "--as-of", "2026-04-01", code=1)
    assert "no space left to write stock.csv" in result.stderr
    assert list(tmp_path.iterdir()) == []
