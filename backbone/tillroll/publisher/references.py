"""Personal references of customers, made into keyed hashes before an event leaves for the log (domain.md 1)."""

import base64
from typing import Any

from tillroll.contract.registry import Contract
from tillroll.errors import MalformedEvent
from tillroll.events import EVENTS, CustomerReference, Event, EventCorrected, TransactionVoided, to_wire
from tillroll.events.writing import quoted
from tillroll.identity import IdentityKey, reference

__all__ = ["hashed"]


def hashed(event: Event, key: IdentityKey, contract: Contract) -> Event:
    """`event` with an e-mail address or phone number of a customer as a hash under `key`, also in events that it quotes.

    Other references are trimmed, hashes stay as they are. Raises MalformedEvent, without quoting it, for a value
    that is none of its kind.
    """
    changed: dict[str, Any] = {}
    for name in type(event).model_fields:
        value = getattr(event, name)
        if isinstance(value, CustomerReference):
            changed[name] = _hashed(value, key, name)
        elif isinstance(value, list) and value and isinstance(value[0], CustomerReference):
            changed[name] = [_hashed(each, key, f"{name}[{at}]") for at, each in enumerate(value)]
    if isinstance(event, TransactionVoided):
        changed["voided"] = [
            each.model_copy(update={"event": _requoted(each.event, key, contract)}) for each in event.voided
        ]
    elif isinstance(event, EventCorrected):
        told = {"original": event.original, "replacement": event.replacement}
        changed |= {name: text and _requoted(text, key, contract) for name, text in told.items()}
    return event.model_copy(update=changed) if changed else event


def _requoted(text: str, key: IdentityKey, contract: Contract) -> str:
    """The quotation of an event, hashed. One that nobody could publish stays as it is: it came by another way."""
    try:
        schema, fields = quoted(text, contract)
        event = EVENTS[schema.record].read(fields)
        told = hashed(event, key, contract)
        return text if told == event else base64.b64encode(to_wire(told, contract)[2]).decode()
    except (MalformedEvent, KeyError):
        return text


def _hashed(given: CustomerReference, key: IdentityKey, where: str) -> CustomerReference:
    try:
        kind, value = reference(given.kind, given.value, key)
    except MalformedEvent as error:
        raise MalformedEvent(f"{where}.value: {error}", field=f"{where}.value", reason=str(error)) from None
    return CustomerReference(kind=kind, value=value)
