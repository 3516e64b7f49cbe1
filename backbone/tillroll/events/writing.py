"""Events into what a log takes: topic, key and value."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from tillroll.contract.registry import ANY_TOPIC, VOID, Contract, EventSchema
from tillroll.contract.wire import decode, encode
from tillroll.errors import ContractError, MalformedEvent
from tillroll.events.base import Event

__all__ = ["quoted", "to_wire"]

CORRECTION = "EventCorrected"


def to_wire(event: Event, contract: Contract) -> tuple[str, bytes, bytes]:
    """Topic, key and value (Confluent's wire format, newest version of its record) of `event`.

    A correction goes where the event stands that it corrects; MalformedEvent when what it quotes does not decode, or
    is another event or has another key than the correction says. Likewise what a void takes back.
    """
    schema = contract.latest(event.record)
    fields = event.fields()
    for at, voided in enumerate(fields["voided"] if event.record == VOID else ()):
        _refuse_other(voided, f"voided[{at}]", contract)
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
    topic = _about(correction, "original", contract)
    if correction["replacement"] is not None and _about(correction, "replacement", contract) != topic:
        raise _unlike("replacement", f"belongs on another topic than the original ({topic})")
    return topic, correction["key"]


def quoted(text: str, contract: Contract) -> tuple[EventSchema, dict[str, Any]]:
    """The event that another one quotes: its wire format in Base64. Raises MalformedEvent where it is none."""
    try:
        return decode(base64.b64decode(text, validate=True), contract)
    except (binascii.Error, ValueError) as error:
        raise MalformedEvent(f"is no Base64: {error}") from None
    except MalformedEvent as error:
        raise MalformedEvent(f"quotes no event: {error}") from None


def _about(correction: Mapping[str, Any], name: str, contract: Contract) -> str:
    """The topic of the event quoted in the field `name`, once it is the one that is corrected."""
    try:
        schema, event = quoted(correction[name], contract)
    except MalformedEvent as error:
        raise _unlike(name, str(error)) from None
    if schema.topic == ANY_TOPIC:
        raise _unlike(name, "quotes a correction; correct the event itself, with a higher revision")
    if event["event_id"] != correction["corrects"]:
        raise _unlike(name, f"has event_id {event['event_id']}, not {correction['corrects']}")
    if (key := _key(schema.topic, schema.record, event, contract)) != correction["key"]:
        raise _unlike(name, f"has the key {key!r}, not {correction['key']!r}")
    return schema.topic


def _refuse_other(voided: Mapping[str, Any], where: str, contract: Contract) -> None:
    """Refuse a quotation that is not of the event it is said to be of, or is of a void, which is final."""
    try:
        schema, event = quoted(voided["event"], contract)
    except MalformedEvent as error:
        raise _unlike(f"{where}.event", str(error), VOID) from None
    if schema.topic == ANY_TOPIC:
        raise _unlike(f"{where}.event", "quotes a correction; correct the event itself once more", VOID)
    if schema.record == VOID:
        raise _unlike(
            f"{where}.event",
            "quotes a void, which is final: publish what it took back again, under new ids",
            VOID,
        )
    for field, found in (("topic", schema.topic), ("event_id", event["event_id"].lower())):
        if voided[field] != found:
            raise _unlike(f"{where}.{field}", f"is {voided[field]}, but what is quoted has {found}", VOID)


def _unlike(field: str, reason: str, record: str = CORRECTION) -> MalformedEvent:
    return MalformedEvent(f"{record}: {field} {reason}", field=field, reason=reason)
