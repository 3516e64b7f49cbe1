"""Values of events: what is taken, what is brought into one form, what is refused."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from tillroll.contract.avro_types import NO_DEFAULT, Nullable, Primitive
from tillroll.contract.envelope import ENVELOPE
from tillroll.contract.registry import load_contract
from tillroll.errors import MalformedEvent
from tillroll.events import Event, LocationDescribed, OrderHeld, OrderPlaced, StockReceived

ID = "018f3c1e-7a5b-7c3d-9e2f-0123456789ab"
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
RECEIVED: dict[str, Any] = {
    "event_id": ID,
    "source": "wms",
    "channel": "store",
    "occurred_at": NOON,
    "sku": "shoe-42",
    "location_id": "store-7",
    "quantity": 12,
}
HELD: dict[str, Any] = {
    "event_id": ID,
    "source": "web/eu",
    "channel": "web",
    "occurred_at": NOON,
    "business_date": date(2026, 3, 14),
    "order_id": "o1",
    "order_channel": "web",
    "order_business_date": date(2026, 3, 14),
    "currency": "EUR",
}


def reason(
    field: str, value: Any, told: dict[str, Any] = RECEIVED, model: type[Event] = StockReceived
) -> str:
    """Why `field` may not be `value`; fails when it may, or when another field is blamed."""
    with pytest.raises(MalformedEvent) as caught:
        model.read(told | {field: value})
    assert caught.value.field == field
    assert caught.value.reason in str(caught.value)
    assert model.record in str(caught.value)
    return caught.value.reason


def test_nullable_and_defaulted_fields_may_be_left_out() -> None:
    event = StockReceived(**RECEIVED)
    assert (event.business_date, event.correlation_id, event.reference, event.training) == (
        None,
        None,
        None,
        False,
    )
    assert OrderHeld(**HELD).order_location_id == ""


@pytest.mark.parametrize("quantity", [2.5, 2.0, "2", True, None, 1 << 63, -(1 << 63) - 1])
def test_a_quantity_is_a_whole_number_of_64_bits_and_nothing_like_it(quantity: Any) -> None:
    assert reason("quantity", quantity)


@pytest.mark.parametrize("quantity", [(1 << 63) - 1, -(1 << 63), 0])
def test_every_number_of_64_bits_is_taken(quantity: int) -> None:
    assert StockReceived.read(RECEIVED | {"quantity": quantity}).fields()["quantity"] == quantity


@pytest.mark.parametrize("value", [7, None, b"wms", ["wms"], "w\0ms", "half a pair \ud83d"])
def test_text_is_text_that_every_store_can_hold(value: Any) -> None:
    assert reason("source", value)


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_training_is_true_or_false_and_no_number(value: Any) -> None:
    assert reason("training", value)


@pytest.mark.parametrize("value", [NOON.replace(tzinfo=None), "2026-03-14T12:00:00", "2026-03-14"])
def test_a_time_without_zone_is_refused_and_the_message_says_what_to_write(value: Any) -> None:
    assert "without zone" in reason("occurred_at", value)
    assert "Z" in reason("occurred_at", value)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        1_700_000_000,
        None,
        date(2026, 3, 14),
        "2026-13-01T00:00:00Z",
        "2026-03-14T09:30:00+99:99",
        "2026-03-14T09:30:00+00:00:30",
    ],
)
def test_a_time_is_a_time(value: Any) -> None:
    assert "should be a time such as" in reason("occurred_at", value)


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_that_has_no_moment_in_utc_is_refused(value: str) -> None:
    assert "outside the years" in reason("occurred_at", value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-14T12:00:00Z",
        "2026-03-14T13:00:00+01:00",
        datetime(2026, 3, 14, 7, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_times_of_all_zones_become_the_same_moment_in_utc(value: Any) -> None:
    found = StockReceived.read(RECEIVED | {"occurred_at": value}).occurred_at
    assert found == NOON
    assert found.tzinfo is UTC


def test_microseconds_are_kept() -> None:
    found = StockReceived.read(RECEIVED | {"occurred_at": "2026-03-14T12:00:00.000001Z"}).occurred_at
    assert found - NOON == timedelta(microseconds=1)


@pytest.mark.parametrize("value", ["2026-02-30", "14.03.2026", NOON, 20_000, "2026-03-14T00:00:00Z"])
def test_a_date_is_a_date_and_no_time(value: Any) -> None:
    assert "should be a date such as" in reason("order_business_date", value, HELD, OrderHeld)


@pytest.mark.parametrize(
    "value", ["", "x", 7, ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", ID + "\n", ID[:-1] + "g"]
)
def test_an_id_is_a_uuid_in_its_usual_spelling(value: Any) -> None:
    assert "should be a UUID" in reason("event_id", value)


@pytest.mark.parametrize("value", [ID.upper(), UUID(ID), ID])
def test_ids_are_lower_case_however_they_came(value: Any) -> None:
    assert StockReceived.read(RECEIVED | {"event_id": value}).event_id == ID


@pytest.mark.parametrize("value", ["EUX", "eur", "", "XXX", "XAU", 978])
def test_a_currency_that_is_none_is_refused(value: Any) -> None:
    assert reason("currency", value, HELD, OrderHeld)


@pytest.mark.parametrize("value", ["EUR", "JPY", "XOF", "DEM"])
def test_currencies_of_now_and_of_the_past_are_taken(value: str) -> None:
    assert OrderHeld(**HELD | {"currency": value}).currency == value


def test_orders_returns_and_refunds_need_a_book_day() -> None:
    without = {name: value for name, value in HELD.items() if name != "business_date"}
    with pytest.raises(MalformedEvent, match="OrderHeld: business_date is missing"):
        OrderHeld.read(without)
    assert "should be a date" in reason("business_date", None, HELD, OrderHeld)


def test_the_topics_that_need_a_book_day_are_those_of_orders_returns_and_refunds() -> None:
    contract = load_contract()
    assert {name for name, topic in contract.topics.items() if topic.needs_business_date} == {
        "orders",
        "returns",
    }
    assert contract.latest("RefundIssued").topic == "orders"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "52.5", True])
def test_a_coordinate_is_a_number_on_earth(value: Any) -> None:
    told = {name: RECEIVED[name] for name in ("event_id", "source", "channel", "occurred_at", "location_id")}
    assert reason("latitude", value, told | {"name": "Mitte", "kind": "store"}, LocationDescribed)


def test_unknown_fields_are_refused() -> None:
    assert reason("qty", 3) == "is not a field here"


def test_a_fault_inside_a_line_is_named_with_its_place() -> None:
    line = {
        "line_id": "1",
        "sku": "s",
        "kind": "PRODUCT",
        "fulfilment": "SHIP",
        "location_id": "",
        "quantity": 1,
    }
    with pytest.raises(MalformedEvent) as caught:
        OrderPlaced.read(HELD | {"lines": [line, line | {"kind": "GIFT"}]})
    assert caught.value.field == "lines[1].kind"
    assert "'PRODUCT' or 'CHARGE'" in caught.value.reason


def test_the_first_fault_is_named_and_the_others_are_counted() -> None:
    assert "(and 1 more)" in reason("quantity", 2.5, RECEIVED | {"unheard": 1})


def test_events_are_facts_and_do_not_change() -> None:
    event = StockReceived(**RECEIVED)
    with pytest.raises(ValidationError, match="frozen"):
        event.quantity = 13


def test_the_hand_written_envelope_is_that_of_the_schemas() -> None:
    assert list(Event.model_fields) == [field.name for field in ENVELOPE]
    for field in ENVELOPE:
        model = Event.model_fields[field.name]
        assert model.is_required() == (field.default is NO_DEFAULT)
        assert model.is_required() or model.default == field.default
        assert (type(None) in getattr(model.annotation, "__args__", ())) == isinstance(field.type, Nullable)
    assert Event.model_fields["training"].annotation is bool
    assert Event.model_fields["source"].annotation is str
    assert ENVELOPE[0].type is Primitive.UUID


@pytest.mark.parametrize(
    ("field", "told", "model"), [("sku", RECEIVED, StockReceived), ("order_id", HELD, OrderHeld)]
)
def test_an_empty_id_is_none(field: str, told: dict[str, Any], model: type[Event]) -> None:
    assert "should name something" in reason(field, "", told, model)


def test_no_place_is_an_empty_one() -> None:
    assert StockReceived.read(RECEIVED | {"location_id": ""}).location_id == ""
