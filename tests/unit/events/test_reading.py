"""Events from JSON lines."""

import json
from typing import Any

import pytest

from tillroll.errors import MalformedEvent
from tillroll.events import EVENTS, OrderPlaced, StockReceived, event_from_json

LINE: dict[str, Any] = {
    "type": "StockReceived",
    "event_id": "018f3c1e-7a5b-7c3d-9e2f-0123456789ab",
    "source": "wms",
    "channel": "store",
    "occurred_at": "2026-03-14T13:00:00+01:00",
    "business_date": "2026-03-14",
    "sku": "shoe-42",
    "location_id": "store-7",
    "quantity": 12,
}


def refused(line: Any) -> MalformedEvent:
    with pytest.raises(MalformedEvent) as caught:
        event_from_json(line)
    return caught.value


def test_text_bytes_and_parsed_json_give_the_same_event() -> None:
    text = json.dumps(LINE)
    event = event_from_json(text)
    assert isinstance(event, StockReceived)
    assert event == event_from_json(text.encode()) == event_from_json(LINE)


def test_what_is_given_is_not_changed() -> None:
    told = dict(LINE)
    event_from_json(told)
    assert told == LINE


def test_an_event_goes_to_json_and_back() -> None:
    event = event_from_json(LINE)
    assert event_from_json({"type": event.record, **json.loads(event.model_dump_json())}) == event


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (json.dumps(LINE)[:-9], "no JSON"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        (b"\xff\xfe", "no UTF-8"),
        ("[" * 100_000, "too deep"),
        ('{"quantity": ' + "9" * 5_000 + "}", "too long"),
        ('{"latitude": NaN}', "NaN is no number"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused_as_a_whole(line: Any, says: str) -> None:
    error = refused(line)
    assert says in error.reason
    assert error.field == ""


def test_a_field_given_twice_is_refused_rather_than_one_of_them_chosen() -> None:
    error = refused(json.dumps(LINE)[:-1] + ', "quantity": 13}')
    assert (error.field, error.reason) == ("quantity", "is given twice")


@pytest.mark.parametrize(
    "name", ["OrderStatusChanged", "stockreceived", "", 7, None, ["StockReceived"], "Event"]
)
def test_a_type_that_the_contract_does_not_have_is_refused(name: Any) -> None:
    error = refused(LINE | {"type": name})
    assert error.field == "type"
    assert repr(name) in str(error)


def test_a_missing_type_is_said() -> None:
    error = refused({name: value for name, value in LINE.items() if name != "type"})
    assert (error.field, error.reason) == ("type", "is missing")


@pytest.mark.parametrize("field", [name for name in LINE if name not in ("type", "business_date")])
def test_every_field_that_has_to_be_there_is_missed(field: str) -> None:
    error = refused({name: value for name, value in LINE.items() if name != field})
    assert str(error) == f"StockReceived: {field} is missing"


def test_long_values_are_not_repeated_whole() -> None:
    assert len(str(refused(LINE | {"quantity": "9" * 10_000}))) < 200


def test_all_event_types_can_be_read_by_name() -> None:
    assert EVENTS["OrderPlaced"] is OrderPlaced
    assert all(model.record == name for name, model in EVENTS.items())
