"""From published events to rows: `tillroll project`, `query` and `status`."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tillroll import settings
from tillroll.events import event_id_for

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

STOCK = [
    ("shoe-42", "store-7", 3, "2026-03-14"),
    ("shoe-42", "store-8", 5, "2026-03-15"),
    ("hat", "store-7", 2, "2026-03-16"),
    ("hat", "", 4, "2026-03-17"),
]


@pytest.fixture
def stocked(tillroll: Tillroll) -> Tillroll:
    """STOCK published and projected."""
    lines = [
        json.dumps(
            {
                "type": "StockReceived",
                "event_id": event_id_for("test", "StockReceived", f"{sku}/{place}"),
                "source": "wms",
                "channel": "warehouse",
                "occurred_at": f"{day}T09:30:00Z",
                "sku": sku,
                "location_id": place,
                "quantity": units,
            }
        )
        for sku, place, units, day in STOCK
    ]
    tillroll("publish", "-", input="\n".join(lines))
    tillroll("project", "--once")
    return tillroll


def found(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(row["sku"], row["location_id"], row["on_hand"]) for row in rows]


def test_rows_come_by_key(stocked: Tillroll, rows: Rows) -> None:
    assert found(rows("store_availability")) == [
        ("hat", "", 4),
        ("hat", "store-7", 2),
        ("shoe-42", "store-7", 3),
        ("shoe-42", "store-8", 5),
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["sku=hat", "location_id=store-7"], [2]),
        (["location_id=store-7", "location_id=store-8"], [2, 3, 5]),
        (["location_id="], [4]),
        (["on_hand=5"], [5]),
        (["last_moved_at=2026-03-14T10:30:00+01:00"], [3]),
        (["last_moved_at=2026-03-14T09:30:00"], [3]),
        (["sku=nothing' or true --"], []),
        (["--order-by", "-on_hand"], [5, 4, 3, 2]),
        (["--order-by", "location_id", "--order-by", "-on_hand"], [4, 3, 2, 5]),
        (["--limit", "2"], [4, 2]),
        (["--limit", "0"], []),
    ],
)
def test_rows_are_chosen_sorted_and_limited(
    stocked: Tillroll, rows: Rows, conditions: list[str], expected: list[int]
) -> None:
    assert [row["on_hand"] for row in rows("store_availability", *conditions)] == expected


def test_csv_has_a_header_and_nothing_for_null(stocked: Tillroll) -> None:
    text = stocked("query", "store_availability", "sku=hat", "--csv").stdout
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [(line["location_id"], line["on_hand"]) for line in lines] == [("", "4"), ("store-7", "2")]


def test_a_table_is_aligned(stocked: Tillroll) -> None:
    lines = stocked("query", "store_availability").stdout.splitlines()
    assert lines[0].startswith("sku      location_id  on_hand  ")
    assert lines[4].startswith("shoe-42  store-7            3  ")


def test_no_row_is_an_empty_answer(stocked: Tillroll, rows: Rows) -> None:
    assert rows("order_status") == []
    assert stocked("query", "order_status", "--csv").stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (["orders"], "there are channel_sales, customer_history"),
        (["store_availability", "colour=red"], "it has sku, location_id, on_hand"),
        (["store_availability", "--order-by", "colour"], "it has sku, location_id, on_hand"),
        (["store_availability", "on_hand=many"], "a whole number is expected"),
        (["store_availability", "on_hand=99999999999999999999"], "a whole number is expected"),
        (["store_availability", "last_moved_at=noon"], "a time as"),
        (["channel_sales", "business_date=2026-02-30"], "a date as"),
        (["store_availability", "hat"], "COLUMN=VALUE"),
        (["store_availability", "--json", "--csv"], "contradict"),
        (["store_availability", "--limit", "-1"], "--limit"),
        (["pg_class"], "there is no read model"),
        (["tillroll.positions"], "there is no read model"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_that_says_what_can(
    stocked: Tillroll, question: list[str], told: str
) -> None:
    result = stocked("query", *question, code=2)
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_query_before_anything_was_projected_says_how_to(tillroll: Tillroll) -> None:
    assert "tillroll project --once" in tillroll("query", "store_availability", code=2).stderr


def test_reading_makes_no_embedded_server(
    tillroll: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.STORE)
    for command in (["query", "x"], ["dead-letters", "list"], ["status"]):
        assert "there is no data in" in tillroll(*command, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_project_sums_up_what_it_did(stocked: Tillroll) -> None:
    told = json.loads(stocked("project", "--once", "store_availability", "--json").stdout)
    (row,) = told["projections"]
    assert (row["projection"], row["events"], row["dead_letters"], row["error"]) == (
        "store_availability",
        0,
        0,
        None,
    )


def test_an_unknown_projection_is_a_usage_error(tillroll: Tillroll) -> None:
    assert "store_availability" in tillroll("project", "sales", "--once", code=2).stderr


def test_status_tells_lag_by_projection_and_partition(stocked: Tillroll) -> None:
    event = {
        "type": "StockReceived",
        "event_id": event_id_for("test", "StockReceived", "more"),
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": "2026-03-18T09:30:00Z",
        "sku": "hat",
        "location_id": "store-7",
        "quantity": 1,
    }
    stocked("publish", "-", input=json.dumps(event))
    told = json.loads(stocked("status", "--json").stdout)
    lags = {each["projection"]: each["lag"] for each in told["projections"]}
    assert lags["store_availability"] == 1
    assert lags["channel_sales"] == 0
    (behind,) = [
        at
        for each in told["projections"]
        for at in each["partitions"]
        if at["lag"] and at["topic"] == "stock"
    ]
    assert behind["end"] - behind["position"] == 1
    assert behind["seconds"] >= 0
    assert told["admission"] is None
    assert f"stock/{behind['partition']}" in stocked("status").stdout


def test_status_of_what_was_never_projected_is_all_behind(tillroll: Tillroll) -> None:
    assert json.loads(tillroll("status", "products", "--json").stdout)["projections"][0]["lag"] == 0


def test_rows_of_one_key_come_in_one_order(tillroll: Tillroll, rows: Rows) -> None:
    """An event stands once for each reference of its customer, whichever was told first."""
    for number, reference in enumerate(("loyalty-9", "loyalty-1", "loyalty-5")):
        refund = {
            "type": "RefundIssued",
            "event_id": event_id_for("test", "RefundIssued", str(number)),
            "source": "oms",
            "channel": "web",
            "occurred_at": "2026-03-14T09:30:00Z",
            "business_date": "2026-03-14",
            "refund_id": f"refund-{number}",
            "order_id": "order-1",
            "amount_minor": 100,
            "currency": "EUR",
            "customer": [{"kind": "loyalty", "value": reference}],
        }
        tillroll("publish", "-", input=json.dumps(refund))
        tillroll("project", "customer_history", "--once")
    told = [(row["event_id"], row["reference"]) for row in rows("customer_history")]
    assert len(told) == 9
    assert told == sorted(told)
    now = tillroll("query", "customer_history").stdout
    assert tillroll("query", "customer_history", "--as-of", "2027-01-01").stdout == now
