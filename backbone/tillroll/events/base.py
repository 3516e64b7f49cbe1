"""What every event type has: strict values, the envelope, and the types that fields are made of.

Nothing is converted but what means the same: an ISO 8601 text becomes a time or date, a time in another zone the
same moment in UTC, an id lower case. 2.5 or "2" is no quantity, 7 no text, and a time without zone no time.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tillroll.contract.times import time_of
from tillroll.errors import MalformedEvent
from tillroll.events.currencies import CURRENCIES

__all__ = [
    "BookedEvent",
    "Currency",
    "Date",
    "Event",
    "Int",
    "Long",
    "Name",
    "Number",
    "Part",
    "Text",
    "Time",
    "Uuid",
]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid(value: Any) -> Any:
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str) or not _UUID.fullmatch(text.lower()):
        raise ValueError("should be a UUID such as 018f3c1e-7a5b-7c3d-9e2f-0123456789ab")
    return text.lower()


def _time(value: Any) -> Any:
    if isinstance(value, str):
        value = _parsed(time_of, value, "a time such as 2026-03-14T09:30:00Z")
    if not isinstance(value, datetime):
        raise ValueError("should be a time such as 2026-03-14T09:30:00Z")
    if value.utcoffset() is None:
        raise ValueError("is a time without zone; give it one, such as 2026-03-14T09:30:00Z or ...+01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is a time outside the years 1 to 9999 in UTC") from None


def _date(value: Any) -> Any:
    if isinstance(value, str):
        value = _parsed(date.fromisoformat, value, "a date such as 2026-03-14")
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("should be a date such as 2026-03-14")
    return value


def _parsed(read: Callable[[str], date], text: str, wanted: str) -> date:
    try:
        return read(text)
    except ValueError:
        raise ValueError(f"should be {wanted}") from None


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("should be a currency code of ISO 4217 such as EUR")
    return code


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which PostgreSQL cannot store")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is no character") from None
    return text


def _name(text: str) -> str:
    if not text:
        raise ValueError("should name something: what has no name would share one row")
    return _text(text)


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
Uuid = Annotated[str, BeforeValidator(_uuid)]
Int = Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)]
Long = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Time = Annotated[datetime, BeforeValidator(_time)]
Date = Annotated[date, BeforeValidator(_date)]
Currency = Annotated[str, AfterValidator(_currency)]


class Part(BaseModel):
    """A record inside an event. Immutable, strict, no fields but its own."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Event(Part):
    """The envelope, with which every event begins. Raises pydantic's ValidationError for what does not fit.

    record: the name of the record in the contract. topic: where it stands, `any` if on every topic.
    """

    record: ClassVar[str]
    topic: ClassVar[str]

    event_id: Uuid
    source: Text
    source_epoch: Text | None = None
    source_seq: Long | None = None
    channel: Text
    occurred_at: Time
    business_date: Date | None = None
    correlation_id: Uuid | None = None
    causation_id: Uuid | None = None
    training: bool = False

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """The event with these fields, as JSON gives them. Raises MalformedEvent naming type, field and reason."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise _refused(cls.record, error.errors(include_url=False)) from None

    def fields(self) -> dict[str, Any]:
        """All fields as values, parts as dicts: what is encoded."""
        return self.model_dump()


class BookedEvent(Event):
    """An event that belongs to a book day: orders, returns and refunds."""

    business_date: Date


# --- what is wrong -------------------------------------------------------------------------------------


def _refused(record: str, errors: Sequence[Mapping[str, Any]]) -> MalformedEvent:
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    field, reason = _path(first["loc"]), _reason(first) + more
    return MalformedEvent(f"{record}: {field} {reason}", field=field, reason=reason)


def _path(steps: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _reason(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field here"
        case "value_error":
            said = str(error["ctx"]["error"])
        case _:
            said = error["msg"].replace("Input should", "should", 1)
    return f"{said}, found {_told(error['input'])}"


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
