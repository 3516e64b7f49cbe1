"""Personal references of customers, made into keyed hashes before an event leaves for the log (domain.md 1)."""

from typing import Any

from tillroll.errors import MalformedEvent
from tillroll.events import CustomerReference, Event
from tillroll.identity import IdentityKey, reference

__all__ = ["hashed"]


def hashed(event: Event, key: IdentityKey) -> Event:
    """`event` with an e-mail address or phone number of a customer as a hash under `key`.

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
    return event.model_copy(update=changed) if changed else event


def _hashed(given: CustomerReference, key: IdentityKey, where: str) -> CustomerReference:
    try:
        kind, value = reference(given.kind, given.value, key)
    except MalformedEvent as error:
        raise MalformedEvent(f"{where}.value: {error}", field=f"{where}.value", reason=str(error)) from None
    return CustomerReference(kind=kind, value=value)
