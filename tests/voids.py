"""Voids of given events, as a till publishes them."""

import base64

from tillroll.contract.registry import load_contract
from tillroll.events import Event, TransactionVoided, to_wire
from tillroll.testing import event

__all__ = ["named", "void"]


def named(of: Event) -> dict[str, str]:
    """What a void says of an event that it takes back."""
    _, _, value = to_wire(of, load_contract())
    return {"topic": of.topic, "event_id": of.event_id, "event": base64.b64encode(value).decode()}


def void(*events: Event, order_id: str = "o") -> TransactionVoided:
    """One that takes back `events`."""
    return event(TransactionVoided, order_id=order_id, voided=[named(each) for each in events])
