"""The event types of the contract as classes, and the ways in and out of them.

Build one with keywords (`StockReceived(event_id=new_event_id(), ...)`), or read it with `event_from_json`;
`to_wire` gives what stands in the log. `EVENTS` holds every type by name.
"""

from tillroll.events import _models
from tillroll.events._models import *  # noqa: F403 - what there is, is generated
from tillroll.events.base import BookedEvent, Event, Part
from tillroll.events.ids import EVENT_NAMESPACE, SEPARATOR, event_id_for, new_event_id
from tillroll.events.reading import event_from_json
from tillroll.events.writing import to_wire

__all__ = [
    "EVENT_NAMESPACE",
    "SEPARATOR",
    "BookedEvent",
    "Event",
    "Part",
    "event_from_json",
    "event_id_for",
    "new_event_id",
    "to_wire",
]
__all__ += _models.__all__
