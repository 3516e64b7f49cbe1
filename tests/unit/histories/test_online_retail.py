"""Invoices by the rules of domain.md 6, on rows made for each rule."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tillroll.errors import TillrollError
from tillroll.services.histories import History, online_retail

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
Events = dict[str, list[dict[str, Any]]]


def imported(folder: Path, *rows: str) -> tuple[Events, History]:
    """Events by record, of a file of `rows`, each `invoice,code,quantity,time,price` with defaults behind."""
    (folder / "made.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    with online_retail.history([folder]) as history:
        events: Events = {}
        for record, frame in history.frames():
            events.setdefault(record, []).extend(frame.to_dicts())
        return events, history


def row(
    invoice: str = "536365",
    code: str = "85123A",
    quantity: object = 6,
    price: object = "2.55",
    at: str = "2011-07-01 08:26:00",
    customer: str = "17850.0",
    country: str = "United Kingdom",
    name: str = "LANTERN",
) -> str:
    return f"{invoice},{code},{name},{quantity},{at},{price},{customer},{country}"


def lines(event: dict[str, Any], *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(line[field] for field in fields) for line in event["lines"]]


def test_an_invoice_is_an_order_of_the_web_shop(tmp_path: Path) -> None:
    events, history = imported(tmp_path, row(), row(code="71053", quantity=2, price="3.39"))
    (placed,) = events["OrderPlaced"]
    assert (placed["order_id"], placed["order_channel"], placed["currency"]) == ("536365", "web", "GBP")
    assert placed["order_location_id"] == ""
    assert placed["customer"] == [{"kind": "account", "value": "17850"}]
    assert placed["delivery"] == {"country": "GB", "postcode_area": None, "promise": None}
    assert lines(
        placed, "line_id", "sku", "kind", "fulfilment", "quantity", "unit_price_minor", "amount_minor"
    ) == [
        ("71053", "71053", "PRODUCT", "SHIP", 2, 339, 678),
        ("85123A", "85123A", "PRODUCT", "SHIP", 6, 255, 1530),
    ]
    assert history.done == history.total == 2


def test_goods_go_out_as_the_invoice_is_printed(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(), row(code="POST", quantity=1))
    for record in ("LineSourced", "ParcelShipped"):
        (moved,) = events[record]
        assert moved["occurred_at"] == events["OrderPlaced"][0]["occurred_at"]
        assert lines(moved, "line_id", "location_id", "quantity") == [("85123A", "", 6)]


def test_times_are_london_s_and_days_the_shop_s(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(at="2011-07-01 00:26:00"), row("536366", at="2011-01-01 00:26:00"))
    winter, summer = events["OrderPlaced"]
    assert summer["occurred_at"] == datetime(2011, 6, 30, 23, 26, tzinfo=UTC)
    assert summer["business_date"] == summer["order_business_date"] == date(2011, 7, 1)
    assert winter["occurred_at"] == datetime(2011, 1, 1, 0, 26, tzinfo=UTC)


def test_the_hour_that_comes_twice_is_the_first_and_the_missing_one_is_refused(tmp_path: Path) -> None:
    events, history = imported(tmp_path, row(at="2011-10-30 01:30:00"), row("2", at="2011-03-27 01:30:00"))
    assert [event["occurred_at"] for event in events["OrderPlaced"]] == [
        datetime(2011, 10, 30, 0, 30, tzinfo=UTC)
    ]
    assert history.summary.rejected == {"invoice date is no time of the shop": 1}


def test_an_invoice_with_two_times_takes_the_earlier(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(at="2011-01-01 10:01:00"), row(code="1", at="2011-01-01 10:00:00"))
    assert [event["occurred_at"].minute for event in events["OrderPlaced"]] == [0]


def test_a_repeated_line_is_a_line_of_its_own(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(quantity=2), row(quantity=1), row(quantity=2))
    assert lines(events["OrderPlaced"][0], "line_id", "sku", "quantity") == [
        ("85123A", "85123A", 1), ("85123A/2", "85123A", 2), ("85123A/3", "85123A", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "code", ["POST", "DOT", "C2", "M", "m", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK"]
)
def test_charges_are_money_and_never_goods(tmp_path: Path, code: str) -> None:
    events, _ = imported(tmp_path, row(code=code, quantity=3, price="1.10"))
    assert lines(events["OrderPlaced"][0], "kind", "amount_minor") == [("CHARGE", 330)]
    assert events.keys() == {"OrderPlaced"}


@pytest.mark.parametrize("code", ["C3", "post", "PADS", "85123a", "gift_0001_40", "DCGSSBOY"])
def test_every_other_code_is_a_product_and_keeps_its_case(tmp_path: Path, code: str) -> None:
    events, _ = imported(tmp_path, row(code=code))
    assert lines(events["OrderPlaced"][0], "sku", "kind") == [(code, "PRODUCT")]


def test_an_invoice_with_c_is_a_return_of_its_own(tmp_path: Path) -> None:
    events, _ = imported(
        tmp_path, row("C1", quantity=-2, price="1.25"), row("C1", code="POST", quantity=-1, price="9.99")
    )
    (received,), (disposed,), (refund,) = (
        events[record] for record in ("ReturnReceived", "ReturnDispositioned", "RefundIssued")
    )
    assert (received["return_id"], received["order_id"], received["order_channel"]) == ("C1", None, None)
    assert received["channel"] == "web"
    assert lines(received, "sku", "kind", "quantity", "amount_minor") == [
        ("85123A", "PRODUCT", 2, 250), ("POST", "CHARGE", 1, 999),
    ]  # fmt: skip
    assert lines(disposed, "sku", "quantity", "disposition") == [("85123A", 2, "sellable")]
    assert (refund["refund_id"], refund["return_id"], refund["order_id"]) == ("C1", "C1", None)
    assert refund["amount_minor"] == 1249
    assert "OrderPlaced" not in events


def test_a_return_of_charges_alone_moves_no_goods(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row("C1", code="D", quantity=-1, price="27.50"))
    assert events.keys() == {"ReturnReceived", "RefundIssued"}


def test_below_zero_at_no_price_is_an_adjustment(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row("536589", quantity=-10, price="0.0", customer="", name="wet"))
    (adjusted,) = events["StockAdjusted"]
    assert events.keys() == {"StockAdjusted"}
    assert (adjusted["sku"], adjusted["location_id"], adjusted["quantity"]) == ("85123A", "", -10)
    assert (adjusted["reference"], adjusted["reason"]) == ("536589", "wet")


def test_above_zero_at_no_price_is_a_sale(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(quantity=4, price="0.0"))
    assert lines(events["OrderPlaced"][0], "quantity", "amount_minor") == [(4, 0)]


@pytest.mark.parametrize(
    ("quantity", "price", "pence"),
    [
        (1, "0.001", 0),
        (5, "0.001", 1),
        (4, "0.001", 0),
        (1, "1.005", 101),
        (3, "2.675", 803),
        (1, "1e3", 100000),
    ],
)
def test_amounts_are_rounded_half_up_to_pence_by_line(
    tmp_path: Path, quantity: int, price: str, pence: int
) -> None:
    events, _ = imported(
        tmp_path, row(quantity=quantity, price=price), row("C1", quantity=-quantity, price=price)
    )
    assert lines(events["OrderPlaced"][0], "amount_minor") == [(pence,)]
    assert events["RefundIssued"][0]["amount_minor"] == pence


def test_no_customer_is_an_unregistered_shopper(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, row(customer=""))
    assert events["OrderPlaced"][0]["customer"] == []


@pytest.mark.parametrize("country", ["Unspecified", "European Community", "Atlantis", ""])
def test_a_country_without_a_code_is_no_delivery(tmp_path: Path, country: str) -> None:
    events, _ = imported(tmp_path, row(country=country))
    assert events["OrderPlaced"][0]["delivery"] is None


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            row("A563185", code="B", quantity=1, price="11062.06"),
            "invoice beginning with A: bad debt, no sale",
        ),
        (
            row("A563186", code="B", quantity=1, price="-11062.06"),
            "invoice beginning with A: bad debt, no sale",
        ),
        (row(""), "no invoice number"),
        (row(code=" "), "no stock code"),
        (row(quantity="2.5"), "quantity is no whole number"),
        (row(quantity=""), "quantity is no whole number"),
        (row(price="free"), "unit price is no number"),
        (row(at="yesterday"), "invoice date is no time of the shop"),
        (row(quantity=0), "quantity is 0"),
        (row("C1", quantity=1), "quantity above 0 on a return"),
        (row(quantity=-1, price="2.55"), "quantity below 0 at a price, and no return"),
        (row(code="POST", quantity=-1, price="0.0"), "charge of nothing"),
    ],
)
def test_what_is_no_event_is_counted_by_its_reason(tmp_path: Path, made: str, reason: str) -> None:
    events, history = imported(tmp_path, made)
    assert events == {}
    assert history.summary.rejected == {reason: 1}
    assert history.done == history.total == 1


def test_the_other_widespread_form_of_the_file_reads_the_same(tmp_path: Path) -> None:
    first, _ = imported(tmp_path, row())
    other, _ = imported(tmp_path, row(at="7/1/2011 8:26", customer="17850"))
    assert first == other


def test_a_product_is_described_by_each_name_it_was_sold_under(tmp_path: Path) -> None:
    events, _ = imported(
        tmp_path,
        row(name="LANTERN ", at="2011-01-03 10:00:00"),
        row("2", name="LANTERN", at="2011-01-02 10:00:00"),
        row("3", name="RED LANTERN", at="2011-01-04 10:00:00"),
        row("4", name="damaged", quantity=-1, price="0.0"),
        row("5", name="POSTAGE", code="POST"),
        row("6", name="found", quantity=1, price="0.0"),
    )
    described = [
        (event["sku"], event["name"], event["occurred_at"].day) for event in events["ProductDescribed"]
    ]
    assert described == [("85123A", "LANTERN", 2), ("85123A", "RED LANTERN", 4)]


def test_the_same_rows_in_any_order_give_the_same_events(tmp_path: Path) -> None:
    rows = [row(quantity=quantity, name=name) for quantity in (1, 2, 2) for name in ("a", "b")]
    rows += [row("C9", quantity=-1), row("7", quantity=-3, price="0"), row("7", quantity=-2, price="0")]
    forwards, _ = imported(tmp_path, *rows)
    backwards, _ = imported(tmp_path, *reversed(rows))
    assert forwards == backwards


def test_an_invoice_in_two_files_is_one_order(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(f"{HEADER}{row()}\n")
    (tmp_path / "2.csv").write_text(f"{HEADER}{row(code='X')}\n")
    with online_retail.history([tmp_path]) as history:
        placed = dict(history.frames())["OrderPlaced"]
    assert len(placed) == 1
    assert placed["lines"].list.len().to_list() == [2]


def test_many_parts_give_the_events_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(str(number), code=code) for number in range(50) for code in ("A1", "B2")]
    whole, _ = imported(tmp_path, *rows)
    monkeypatch.setattr(online_retail, "PART_BYTES", 1000)
    parts, _ = imported(tmp_path, *rows)
    for record, events in whole.items():
        assert sorted(parts[record], key=lambda event: event["event_id"]) == sorted(
            events, key=lambda event: event["event_id"]
        )


def test_an_empty_file_gives_no_events(tmp_path: Path) -> None:
    assert imported(tmp_path)[0] == {}


def test_a_broken_file_is_found_before_anything_is_published(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(f"{HEADER}{row()}\n")
    (tmp_path / "2.csv").write_text(f"{HEADER}{row()}\n536366,cut")
    opened = False
    with pytest.raises(TillrollError, match=r"2\.csv"), online_retail.history([tmp_path]):
        opened = True
    assert not opened
