"""Events of the past as people and programs see them."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillroll.history.past import PastEvent

__all__ = ["event_name", "event_object", "event_place"]


def event_name(event: "PastEvent") -> str:
    """Its record, and that it is taken back where it is."""
    return event.record if event.weight > 0 else f"{event.record} (voided)"


def event_place(event: "PastEvent") -> str:
    """Where it stands: topic/partition offset."""
    return f"{event.position.topic}/{event.position.partition} {event.position.offset}"


def event_object(event: "PastEvent") -> dict[str, Any]:
    """All that is told of it, with topic, partition and offset in front."""
    found = {field.name: getattr(event, field.name) for field in fields(event)}
    return {**found.pop("position")._asdict(), **found}
