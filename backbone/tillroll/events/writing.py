"""Events into what a log takes: topic, key and value."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from tillroll.contract.registry import ANY_TOPIC, Contract
from tillroll.contract.wire import decode, encode
from tillroll.errors import ContractError, MalformedEvent
from tillroll.events.base import Event

__all__ = ["to_wire"]


def to_wire(event: Event, contract: Contract) -> tuple[str, bytes, bytes]:
    """Topic, key and value (Confluent's wire format, newest version of its record) of `event`.

    A correction goes where the event stands that it corrects; MalformedEvent when what it quotes does not decode, or
    is another event or has another key than the correction says.
    """
    schema = contract.latest(event.record)
    fields = event.fields()
    if schema.topic == ANY_TOPIC:
        topic, key = _corrected(fields, contract)
    else:
        topic, key = schema.topic, _key(schema.topic, event.record, fields, contract)
    return topic, key.encode(), encode(schema, fields)


def _key(topic: str, record: str, fields: Mapping[str, Any], contract: Contract) -> str:
    try:
        return contract.topics[topic].key_of(fields)
    except ContractError as error:
        raise MalformedEvent(f"{record}: {error}", reason=str(error)) from None


def _corrected(correction: Mapping[str, Any], contract: Contract) -> tuple[str, str]:
    topic = _quoted(correction, "original", contract)
    if correction["replacement"] is not None and _quoted(correction, "replacement", contract) != topic:
        raise _unlike("replacement", f"belongs on another topic than the original ({topic})")
    return topic, correction["key"]


def _quoted(correction: Mapping[str, Any], name: str, contract: Contract) -> str:
    """The topic of the event quoted in the field `name`, once it is the one that is corrected."""
    try:
        value = base64.b64decode(correction[name], validate=True)
        schema, event = decode(value, contract)
    except (binascii.Error, ValueError) as error:
        raise _unlike(name, f"is no Base64: {error}") from None
    except MalformedEvent as error:
        raise _unlike(name, f"quotes no event: {error}") from None
    if schema.topic == ANY_TOPIC:
        raise _unlike(name, "quotes a correction; correct the event itself, with a higher revision")
    if event["event_id"] != correction["corrects"]:
        raise _unlike(name, f"has event_id {event['event_id']}, not {correction['corrects']}")
    if (key := _key(schema.topic, schema.record, event, contract)) != correction["key"]:
        raise _unlike(name, f"has the key {key!r}, not {correction['key']!r}")
    return schema.topic


def _unlike(field: str, reason: str) -> MalformedEvent:
    return MalformedEvent(f"EventCorrected: {field} {reason}", field=field, reason=reason)
