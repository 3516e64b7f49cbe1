"""Events from JSON, one object each: `{"type": "OrderPlaced", ...its fields}`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from tillroll.errors import MalformedEvent
from tillroll.events._models import EVENTS
from tillroll.events.base import Event

__all__ = ["event_from_json"]


def event_from_json(line: str | bytes | Mapping[str, Any]) -> Event:
    """The event that one JSON object (as text or already parsed) describes; times and dates as ISO 8601 text.

    Its type stands in `type`. Raises MalformedEvent whose message names type, field and reason, and whose `field`
    is the path to what is wrong (``lines[0].quantity``; "" for the whole) and `reason` what is.
    """
    told = dict(line) if isinstance(line, Mapping) else _parsed(line)
    if "type" not in told:
        raise _malformed("an event", "type", "is missing")
    name = told.pop("type")
    model = EVENTS.get(name) if isinstance(name, str) else None
    if model is None:
        raise _malformed("an event", "type", f"{name!r} is no event type; `tillroll schema list` names them")
    return model.read(told)


def _parsed(line: str | bytes) -> dict[str, Any]:
    try:
        text = line.decode() if isinstance(line, bytes) else line
        told = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise _malformed("the line", "", "is no UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise _malformed("the line", "", f"is no JSON: {error.msg} at character {error.pos + 1}") from None
    except (RecursionError, ValueError):  # nested too deep, or a number of more digits than Python reads
        raise _malformed("the line", "", "is no JSON that an event could be: too deep or too long") from None
    if not isinstance(told, dict):
        raise _malformed("the line", "", "is no JSON object")
    return told


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _malformed("the line", twice, "is given twice")
    return fields


def _no_number(name: str) -> NoReturn:
    raise _malformed("the line", "", f"is no JSON: {name} is no number")


def _malformed(what: str, field: str, reason: str) -> MalformedEvent:
    where = f"{what}: {field} {reason}" if field else f"{what} {reason}"
    return MalformedEvent(where, field=field, reason=reason)
