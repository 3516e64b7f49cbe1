"""TPC-DS by the rules of domain.md 6, on tables made for each rule."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tillroll.errors import UsageError
from tillroll.events import event_id_for
from tillroll.services.histories import History, Rejects, tpcds
from tillroll.services.histories.tables import Tables, generated

Events = dict[str, list[dict[str, Any]]]

MONDAY = 2451911  # 2001-01-01 as a Julian day number
TEN_O_CLOCK = 36_000


@pytest.fixture
def tables() -> Iterator[Tables]:
    with generated(0) as made:
        for table in ("store", "warehouse", "item", "inventory", "reason", "ship_mode", "customer_address"):
            made.query(f"TRUNCATE {table}")
        yield made


def insert(tables: Tables, table: str, prefix: str, **values: object) -> None:
    columns = ", ".join(f"{prefix}_{name}" for name in values)
    told = ", ".join("NULL" if value is None else repr(value) for value in values.values())
    tables.query(f"INSERT INTO {table} ({columns}) VALUES ({told})")


def store_line(tables: Tables, ticket: int = 1, item: int = 7, **other: object) -> None:
    defaults: dict[str, object] = {
        "sold_date_sk": MONDAY, "sold_time_sk": TEN_O_CLOCK, "store_sk": 1, "customer_sk": 5,
        "quantity": 2, "sales_price": 1.5, "ext_sales_price": 3.0,
    }  # fmt: skip
    insert(tables, "store_sales", "ss", ticket_number=ticket, item_sk=item, **(defaults | other))


def web_line(tables: Tables, order: int = 1, item: int = 7, **other: object) -> None:
    defaults: dict[str, object] = {
        "sold_date_sk": MONDAY, "sold_time_sk": TEN_O_CLOCK, "ship_date_sk": MONDAY + 3, "ship_mode_sk": 1,
        "warehouse_sk": 4, "bill_customer_sk": 5, "quantity": 2, "sales_price": 1.5, "ext_sales_price": 3.0,
    }  # fmt: skip
    insert(tables, "web_sales", "ws", order_number=order, item_sk=item, **(defaults | other))


def imported(tables: Tables) -> tuple[Events, History]:
    history = tpcds.history_of(tables)
    events: Events = {}
    for record, frame in history.frames():
        events.setdefault(record, []).extend(frame.to_dicts())
    assert history.done == history.total
    return events, history


def lines(event: dict[str, Any], *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(line[field] for field in fields) for line in event["lines"]]


def test_a_ticket_is_an_order_carried_out_at_its_store(tables: Tables) -> None:
    store_line(tables, item=9)
    store_line(tables, item=7, store_sk=None)
    events, _ = imported(tables)
    (placed,) = events["OrderPlaced"]
    assert (placed["source"], placed["channel"], placed["currency"]) == ("tpcds/store", "store", "USD")
    assert (placed["order_id"], placed["order_location_id"]) == ("tpcds-store-1", "store-1")
    assert placed["occurred_at"] == datetime(2001, 1, 1, 10, tzinfo=UTC)
    assert placed["business_date"] == placed["order_business_date"] == date(2001, 1, 1)
    assert placed["customer"] == [{"kind": "account", "value": "tpcds-5"}]
    fields = (
        "line_id",
        "sku",
        "kind",
        "fulfilment",
        "location_id",
        "quantity",
        "unit_price_minor",
        "amount_minor",
    )
    assert lines(placed, *fields) == [
        ("7", "7", "PRODUCT", "CARRY_OUT", "store-1", 2, 150, 300),
        ("9", "9", "PRODUCT", "CARRY_OUT", "store-1", 2, 150, 300),
    ]
    assert events.keys() == {"OrderPlaced"}


def test_times_are_utc_in_summer_too(tables: Tables) -> None:
    store_line(tables, sold_date_sk=MONDAY + 181)
    (placed,) = imported(tables)[0]["OrderPlaced"]
    assert placed["occurred_at"] == datetime(2001, 7, 1, 10, tzinfo=UTC)


def test_no_frame_is_empty_and_none_is_too_long(tables: Tables) -> None:
    for ticket in range(1, 6):
        store_line(tables, ticket=ticket)
    assert [(record, len(frame)) for record, frame in tpcds.history_of(tables, chunk=2).frames()] == [
        ("OrderPlaced", 2), ("OrderPlaced", 2), ("OrderPlaced", 1),
    ]  # fmt: skip


def test_a_ticket_without_a_store_stands_nowhere(tables: Tables) -> None:
    store_line(tables, store_sk=None, customer_sk=None)
    (placed,) = imported(tables)[0]["OrderPlaced"]
    assert placed["order_location_id"] == ""
    assert lines(placed, "location_id") == [("",)]
    assert placed["customer"] == []


def test_what_is_unknown_stays_unknown(tables: Tables) -> None:
    store_line(tables, quantity=None, sales_price=None, ext_sales_price=None)
    (placed,) = imported(tables)[0]["OrderPlaced"]
    assert lines(placed, "quantity", "unit_price_minor", "amount_minor") == [(None, None, None)]


def test_a_line_without_a_date_takes_its_order_s(tables: Tables) -> None:
    store_line(tables, item=7, sold_date_sk=None, sold_time_sk=None)
    store_line(tables, item=8)
    events, history = imported(tables)
    (placed,) = events["OrderPlaced"]
    assert placed["occurred_at"] == datetime(2001, 1, 1, 10, tzinfo=UTC)
    assert len(placed["lines"]) == 2
    assert history.summary.rejected == {}


def test_an_order_without_a_time_stands_at_the_start_of_its_day(tables: Tables) -> None:
    store_line(tables, sold_time_sk=None)
    assert imported(tables)[0]["OrderPlaced"][0]["occurred_at"] == datetime(2001, 1, 1, tzinfo=UTC)


def test_an_order_with_no_dated_line_is_rejected_whole(tables: Tables) -> None:
    web_line(tables, item=7, sold_date_sk=None)
    web_line(tables, item=8, sold_date_sk=None)
    store_line(tables)
    events, history = imported(tables)
    assert events.keys() == {"OrderPlaced"}
    assert history.summary.rejected == {"order without a date on any line": 1}


def test_every_line_of_the_web_is_sourced_from_its_warehouse(tables: Tables) -> None:
    web_line(tables, item=7)
    web_line(tables, item=8, warehouse_sk=None, quantity=None)
    events, _ = imported(tables)
    (placed,), (sourced,) = events["OrderPlaced"], events["LineSourced"]
    assert lines(placed, "fulfilment", "location_id") == [("SHIP", ""), ("SHIP", "")]
    assert placed["order_location_id"] == ""
    assert sourced["occurred_at"] == placed["occurred_at"]
    assert lines(sourced, "line_id", "location_id", "quantity") == [("7", "warehouse-4", 2), ("8", "", None)]


def test_lines_of_one_warehouse_day_and_mode_leave_as_one_parcel(tables: Tables) -> None:
    insert(tables, "ship_mode", "sm", ship_mode_sk=1, ship_mode_id="A", carrier="UPS       ")
    web_line(tables, item=7)
    web_line(tables, item=8)
    web_line(tables, item=9, warehouse_sk=3, ship_date_sk=MONDAY + 4)
    web_line(tables, item=10, ship_date_sk=MONDAY + 5)
    parcels = imported(tables)[0]["ParcelShipped"]
    assert [(parcel["parcel_id"], parcel["business_date"].day, lines(parcel, "sku", "location_id")) for parcel in parcels] == [
        ("tpcds-web-1-1", 4, [("7", "warehouse-4"), ("8", "warehouse-4")]),
        ("tpcds-web-1-2", 5, [("9", "warehouse-3")]),
        ("tpcds-web-1-3", 6, [("10", "warehouse-4")]),
    ]  # fmt: skip
    assert parcels[0]["carrier"] == "UPS"
    assert parcels[0]["occurred_at"] == datetime(2001, 1, 4, tzinfo=UTC)
    assert parcels[0]["order_business_date"] == date(2001, 1, 1)


def test_a_line_without_a_ship_date_never_leaves(tables: Tables) -> None:
    web_line(tables, ship_date_sk=None)
    events, history = imported(tables)
    assert events.keys() == {"OrderPlaced", "LineSourced"}
    assert history.summary.rejected == {"line without a ship date: promised, never shipped": 1}


def test_a_web_return_is_received_at_the_warehouse_of_its_sale(tables: Tables) -> None:
    insert(tables, "reason", "r", reason_sk=2, reason_id="A", reason_desc="Too big  ")
    web_line(tables)
    insert(tables, "web_returns", "wr", order_number=1, item_sk=7, returned_date_sk=MONDAY + 9, returned_time_sk=60,
           returning_customer_sk=5, refunded_customer_sk=6, reason_sk=2, return_quantity=1, return_amt=1.5)  # fmt: skip
    events, _ = imported(tables)
    (received,), (disposed,), (refund,) = (
        events[record] for record in ("ReturnReceived", "ReturnDispositioned", "RefundIssued")
    )
    assert (received["return_id"], received["order_id"]) == ("tpcds-web-1-7", "tpcds-web-1")
    assert (received["order_channel"], received["order_business_date"]) == ("web", date(2001, 1, 1))
    assert received["occurred_at"] == datetime(2001, 1, 10, 0, 1, tzinfo=UTC)
    fields = ("line_id", "sku", "kind", "location_id", "quantity", "amount_minor", "reason")
    assert lines(received, *fields) == [("7", "7", "PRODUCT", "warehouse-4", 1, 150, "Too big")]
    assert lines(disposed, *fields, "disposition") == [(*lines(received, *fields)[0], "sellable")]
    assert (refund["location_id"], refund["amount_minor"], refund["business_date"]) == (
        "warehouse-4",
        150,
        date(2001, 1, 10),
    )
    assert (received["customer"][0]["value"], refund["customer"][0]["value"]) == ("tpcds-5", "tpcds-6")


def test_store_and_catalog_returns_are_received_where_they_say(tables: Tables) -> None:
    insert(
        tables,
        "store_returns",
        "sr",
        ticket_number=1,
        item_sk=7,
        returned_date_sk=MONDAY,
        store_sk=2,
        return_amt=1,
    )
    insert(
        tables, "catalog_returns", "cr", order_number=1, item_sk=7, returned_date_sk=MONDAY, warehouse_sk=3
    )
    insert(tables, "catalog_returns", "cr", order_number=1, item_sk=8, returned_date_sk=MONDAY)
    events, _ = imported(tables)
    assert [lines(event, "location_id")[0][0] for event in events["ReturnReceived"]] == [
        "store-2",
        "warehouse-3",
        "",
    ]


def test_a_return_whose_order_is_unknown_counts_all_the_same(tables: Tables) -> None:
    insert(
        tables, "store_returns", "sr", ticket_number=3, item_sk=7, returned_date_sk=MONDAY, return_quantity=4
    )
    (received,) = imported(tables)[0]["ReturnReceived"]
    assert (received["order_id"], received["order_channel"], received["order_business_date"]) == (
        "tpcds-store-3",
        None,
        None,
    )


def test_a_return_without_an_amount_refunds_nothing(tables: Tables) -> None:
    insert(
        tables, "store_returns", "sr", ticket_number=1, item_sk=7, returned_date_sk=MONDAY, return_quantity=4
    )
    assert imported(tables)[0].keys() == {"ReturnReceived", "ReturnDispositioned"}


def test_a_return_without_a_date_is_rejected(tables: Tables) -> None:
    insert(tables, "store_returns", "sr", ticket_number=1, item_sk=7, return_quantity=4, return_amt=3)
    events, history = imported(tables)
    assert events == {}
    assert history.summary.rejected == {"return without a date": 1}


def test_inventory_is_counted_and_what_it_does_not_say_is_rejected(tables: Tables) -> None:
    insert(tables, "inventory", "inv", date_sk=MONDAY, item_sk=7, warehouse_sk=4, quantity_on_hand=0)
    insert(tables, "inventory", "inv", date_sk=MONDAY, item_sk=8, warehouse_sk=4, quantity_on_hand=None)
    events, history = imported(tables)
    (counted,) = events["StockCounted"]
    assert (counted["sku"], counted["location_id"], counted["quantity"]) == ("7", "warehouse-4", 0)
    assert counted["occurred_at"] == datetime(2001, 1, 1, tzinfo=UTC)
    assert history.summary.rejected == {"count without a quantity": 1}


def test_stores_and_warehouses_and_items_are_described(tables: Tables) -> None:
    insert(tables, "store", "s", store_sk=1, store_id="A", store_name="ought", hours="8AM-4PM")
    insert(tables, "warehouse", "w", warehouse_sk=4, warehouse_id="A")
    insert(tables, "item", "i", item_sk=7, item_id="A", color="rosy")
    events, _ = imported(tables)
    places = [
        (place["location_id"], place["name"], place["kind"], place["opening"])
        for place in events["LocationDescribed"]
    ]
    assert places == [
        ("store-1", "ought", "store", "8AM-4PM"),
        ("warehouse-4", "warehouse 4", "warehouse", None),
    ]
    (product,) = events["ProductDescribed"]
    assert (product["sku"], product["name"], product["colour"]) == ("7", "A", "rosy")


def test_an_address_becomes_a_country_and_a_postcode_area(tables: Tables) -> None:
    insert(
        tables, "customer_address", "ca", address_sk=1, address_id="A", country="United States", zip="86192"
    )
    web_line(tables, ship_addr_sk=1)
    (placed,) = imported(tables)[0]["OrderPlaced"]
    assert placed["delivery"] == {"country": "US", "postcode_area": "861", "promise": None}


def test_ids_are_those_of_single_events(tables: Tables) -> None:
    web_line(tables)
    events, _ = imported(tables)
    assert events["OrderPlaced"][0]["event_id"] == event_id_for("any", "OrderPlaced", "tpcds-web-1")
    assert events["ParcelShipped"][0]["event_id"] == event_id_for(
        "tpcds/web", "ParcelShipped", "tpcds-web-1", 1
    )


def test_orders_of_many_ranges_are_all_read(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    for ticket in range(1, 8):
        store_line(tables, ticket=ticket)
    monkeypatch.setattr(tpcds, "ORDERS_PER_RANGE", 3)
    events, _ = imported(tables)
    assert [event["order_id"] for event in events["OrderPlaced"]] == [
        f"tpcds-store-{number}" for number in range(1, 8)
    ]


def test_rejected_rows_are_named(tables: Tables) -> None:
    stream = io.StringIO()
    web_line(tables, order=12, ship_date_sk=None)
    history = tpcds.history_of(tables, rejects=Rejects(stream))
    assert sum(len(frame) for _, frame in history.frames()) == 2
    assert stream.getvalue() == (
        '{"source":"web_sales","key":"order 12, item 7","reason":"line without a ship date: promised, never shipped"}\n'
    )


@pytest.mark.parametrize("scale", [-1, 0.005, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="scale"), tpcds.history(scale):
        pass


def test_the_demo_s_stores_have_coordinates_and_ids_of_their_own() -> None:
    ((record, frame),) = tpcds.demo_stores()
    assert record == "LocationDescribed"
    assert frame["latitude"].is_between(35, 37).all()
    assert frame["longitude"].is_between(-88, -86).all()
    assert frame["event_id"].n_unique() == frame["location_id"].n_unique() == 4
