"""Events to topic, key and value."""

import base64
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tillroll.contract.registry import Contract, load_contract
from tillroll.contract.wire import decode
from tillroll.errors import ContractError, MalformedEvent
from tillroll.events import (
    CustomerReference,
    EventCorrected,
    IdentityLinked,
    OrderLine,
    OrderPlaced,
    RefundIssued,
    ReturnLine,
    ReturnReceived,
    StockAlertRequested,
    StockReceived,
    TransactionVoided,
    VoidedEvent,
    to_wire,
)

CONTRACT = load_contract()
HEAD: dict[str, Any] = {
    "event_id": "018f3c1e-7a5b-7c3d-9e2f-0123456789ab",
    "source": "web/eu",
    "channel": "web",
    "occurred_at": datetime(2026, 3, 14, 12, tzinfo=UTC),
    "business_date": date(2026, 3, 14),
}
ORDER: dict[str, Any] = {"order_channel": "web", "order_business_date": date(2026, 3, 14)}
RECEIVED = StockReceived(**HEAD, sku="shoe-42", location_id="store-7", quantity=12)
MAIL = CustomerReference(kind="email", value="k1:abc")


def corrected(**changes: Any) -> EventCorrected:
    wire = base64.b64encode(to_wire(RECEIVED, CONTRACT)[2]).decode()
    told: dict[str, Any] = {
        "corrects": RECEIVED.event_id,
        "revision": 1,
        "key": "shoe-42|store-7",
        "original": wire,
    }
    return EventCorrected(**HEAD | {"event_id": "018f3c1e-7a5b-7c3d-9e2f-0123456789ac"}, **told | changes)


def quoted(event: Any) -> str:
    return base64.b64encode(to_wire(event, CONTRACT)[2]).decode()


def test_topic_key_and_value_of_an_event() -> None:
    topic, key, value = to_wire(RECEIVED, CONTRACT)
    assert (topic, key) == ("stock", b"shoe-42|store-7")
    schema, fields = decode(value, CONTRACT)
    assert schema is CONTRACT.latest("StockReceived")
    assert fields == RECEIVED.fields()


def test_lines_and_parts_come_back_as_they_went() -> None:
    line = OrderLine(line_id="1", sku="s", kind="PRODUCT", fulfilment="SHIP", location_id="", quantity=None)
    order = OrderPlaced(**HEAD, **ORDER, order_id="ö1", currency="EUR", customer=[MAIL], lines=[line, line])
    topic, key, value = to_wire(order, CONTRACT)
    assert (topic, key) == ("orders", "ö1".encode())
    assert OrderPlaced.read(decode(value, CONTRACT)[1]) == order


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        ({"order_id": "o1", "return_id": "r1"}, b"o1"),
        ({"return_id": "r1"}, b"r1"),
        ({}, b"f1"),
    ],
)
def test_a_refund_goes_by_its_order_else_its_return_else_itself(ids: dict[str, str], key: bytes) -> None:
    refund = RefundIssued.read({**HEAD, "refund_id": "f1", "currency": "EUR", **ids})
    assert to_wire(refund, CONTRACT)[:2] == ("orders", key)


def test_a_return_without_order_goes_by_itself() -> None:
    line = ReturnLine(line_id="1", sku="s", kind="PRODUCT", location_id="store-7", quantity=1)
    assert to_wire(ReturnReceived(**HEAD, return_id="r1", currency="EUR", lines=[line]), CONTRACT)[:2] == (
        "returns",
        b"r1",
    )


def test_customers_go_by_the_reference_a_link_by_its_first() -> None:
    card = CustomerReference(kind="loyalty", value="77")
    alert = StockAlertRequested(**HEAD, alert_id="a1", reference=MAIL, sku="s", location_id="store-7")
    assert to_wire(alert, CONTRACT)[:2] == ("customers", b"email:k1:abc")
    link = IdentityLinked(**HEAD, a=card, b=MAIL)
    assert to_wire(link, CONTRACT)[:2] == ("customers", b"loyalty:77")


def test_a_correction_stands_beside_what_it_corrects() -> None:
    replacement = RECEIVED.model_copy(update={"quantity": 13})
    assert to_wire(corrected(replacement=quoted(replacement)), CONTRACT)[:2] == ("stock", b"shoe-42|store-7")
    assert to_wire(corrected(), CONTRACT)[:2] == ("stock", b"shoe-42|store-7")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"original": "no base64!"}, "original", "Base64"),
        ({"original": base64.b64encode(b"\0\0\0").decode()}, "original", "quotes no event"),
        ({"corrects": "018f3c1e-7a5b-7c3d-9e2f-0123456789ff"}, "original", "has event_id"),
        ({"key": "shoe-43|store-7"}, "original", "has the key"),
        ({"original": quoted(corrected())}, "original", "quotes a correction"),
        ({"replacement": quoted(RECEIVED.model_copy(update={"sku": "x"}))}, "replacement", "has the key"),
        ({"replacement": "?"}, "replacement", "Base64"),
    ],
)
def test_a_correction_that_does_not_fit_what_it_quotes_is_refused(
    changes: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(MalformedEvent) as caught:
        to_wire(corrected(**changes), CONTRACT)
    assert caught.value.field == field
    assert says in caught.value.reason


def test_an_event_of_another_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="no record 'StockReceived'"):
        to_wire(RECEIVED, Contract([], CONTRACT.topics.values()))


def void(**changes: Any) -> TransactionVoided:
    told: dict[str, Any] = {"topic": "stock", "event_id": RECEIVED.event_id, "event": quoted(RECEIVED)}
    head = HEAD | ORDER | {"event_id": "018f3c1e-7a5b-7c3d-9e2f-0123456789ad"}
    return TransactionVoided(**head, order_id="o1", currency="EUR", voided=[VoidedEvent(**told | changes)])


def test_a_void_quotes_what_it_takes_back() -> None:
    assert to_wire(void(), CONTRACT)[:2] == ("orders", b"o1")


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"event": "no base64!"}, "event", "is no Base64"),
        ({"event": "AAAA"}, "event", "quotes no event"),
        ({"topic": "orders"}, "topic", "is orders, but what is quoted has stock"),
        ({"event_id": HEAD["event_id"][:-1] + "c"}, "event_id", "but what is quoted has"),
        ({"event": quoted(void()), "topic": "orders"}, "event", "quotes a void, which is final"),
        ({"event": quoted(corrected()), "topic": "stock"}, "event", "quotes a correction"),
    ],
)
def test_a_void_of_anything_else_is_refused(changes: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(MalformedEvent, match=reason) as caught:
        to_wire(void(**changes), CONTRACT)
    assert caught.value.field == f"voided[0].{field}"
