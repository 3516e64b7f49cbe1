"""Texts as values of a column, wherever somebody names one: on the command line, or kept with a version."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from tillroll.contract.times import time_of
from tillroll.errors import UsageError

__all__ = ["value_of"]


def value_of(name: str, type_: type, text: str) -> Any:
    """`text` as a value of `type_` (int, float, str, bool, date or datetime); a time comes in UTC, and is taken for it without a zone.

    Raises UsageError, naming the column `name`, when it is none.
    """
    reader, what = _READERS[type_]
    try:
        return reader(text)
    except (ValueError, OverflowError):
        raise UsageError(f"{name}={text}: {what} is expected") from None


def _whole(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _boolean(text: str) -> bool:
    found = json.loads(text.lower())
    if not isinstance(found, bool):
        raise ValueError
    return found


def _moment(text: str) -> datetime:
    moment = time_of(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(text: str) -> str:
    if "\x00" in text:  # PostgreSQL holds none
        raise ValueError
    return text


_READERS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    int: (_whole, "a whole number"),
    float: (float, "a number"),
    str: (_text, "a text"),
    bool: (_boolean, "true or false"),
    date: (date.fromisoformat, "a date as 2026-11-23"),
    datetime: (_moment, "a time as 2026-11-23T09:30:00+00:00"),
}
