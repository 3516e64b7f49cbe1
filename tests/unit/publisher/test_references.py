"""Personal references leave for the log as hashes, also those in events that others quote."""

import base64
from typing import Any, TypeVar

import pytest
from tests.voids import named

from tillroll.contract.registry import load_contract
from tillroll.contract.wire import decode
from tillroll.events import Event, EventCorrected, OrderPlaced, TransactionVoided, to_wire
from tillroll.identity import identity_key
from tillroll.publisher.references import hashed
from tillroll.testing import event

CONTRACT = load_contract()
MAIL = {"kind": "email", "value": "Ann@Example.com "}


def order(value: str = MAIL["value"]) -> OrderPlaced:
    return event(OrderPlaced, order_id="o1", lines=[], customer=[MAIL | {"value": value}])


E = TypeVar("E", bound=Event)


def told(of: E) -> E:
    found = hashed(of, identity_key(), CONTRACT)
    assert isinstance(found, type(of))
    return found


def quoted(of: Event) -> str:
    return base64.b64encode(to_wire(of, CONTRACT)[2]).decode()


def void(of: Event, text: str | None = None) -> TransactionVoided:
    quotation = named(of) if text is None else named(of) | {"event": text}
    return event(TransactionVoided, order_id="o1", voided=[quotation])


def correction(of: Event, replacement: Event) -> EventCorrected:
    texts = {"original": quoted(of), "replacement": quoted(replacement)}
    return event(EventCorrected, corrects=of.event_id, revision=1, key="o1", **texts)


def inside(text: str) -> dict[str, Any]:
    return decode(base64.b64decode(text), CONTRACT)[1]


def test_what_a_void_quotes_is_what_the_log_holds() -> None:
    sale = order()
    (voided,) = told(void(sale)).voided
    assert voided.event == quoted(told(sale))
    assert "example" not in str(inside(voided.event)).lower()


def test_what_a_correction_quotes_too() -> None:
    found = told(correction(order("b@example.com"), order()))
    assert [inside(text)["customer"] for text in (found.original, found.replacement or "")] == [
        [each.model_dump() for each in told(order(value)).customer]
        for value in ("b@example.com", MAIL["value"])
    ]


def test_hashes_stay_as_they_are_and_so_does_what_quotes_them() -> None:
    once = told(void(order()))
    assert told(once) == once
    again = void(told(order()))
    assert told(again) == again


@pytest.mark.parametrize("text", ["no base64!", "AAAA"])
def test_what_quotes_no_event_is_left_to_whoever_refuses_it(text: str) -> None:
    assert told(void(order(), text)).voided[0].event == text
