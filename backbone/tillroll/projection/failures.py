"""Events that could not be applied, and whether it is they that are wrong or their handler."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tillroll.errors import EventUnfit, TooManyFailures
from tillroll.log.decode import Reject
from tillroll.log.port import Batch, Position
from tillroll.projection.answer import SUMMABLE

__all__ = ["Failure", "FailureBudget", "failed", "rejected"]

LONGEST_KEY = 8_191  # characters
LONGEST_TEXT = 20_000  # characters of a message or a traceback in a dead letter


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that could not be applied: where it stands and why; it becomes a dead letter.

    of_handler: whether it may be the handler that is wrong. It cannot be where the bytes are no event, a void quotes what
    is none, or the event itself holds what nothing can be done with (see `_is_odd`).
    """

    position: Position
    record: str | None
    event_id: str | None
    error: str
    message: str
    traceback: str
    value: bytes | None = None
    of_handler: bool = True


class FailureBudget:
    """Tells bad events from a bad handler.

    More than 100 failures, or more than 1 % of the events (once there are enough of them to tell), among
    the last 10,000 events or the current batch, whichever is more, and it is the handler (design.md 5). In a batch of more
    than half a million, it is more than 100 in each.
    known: failures that are known not to be, in addition. most, share: other numbers for who only asks.
    """

    MOST, SHARE, WINDOW, FEW = 100, 0.01, 10_000, 10
    BATCH = 500_000

    def __init__(self, known: int = 0, most: float = MOST, share: float = SHARE) -> None:
        self._known, self._most, self._share = known, most, share
        self._events = self._failures = 0.0

    def spend(self, events: int, failures: Sequence[Failure], projection: str) -> None:
        """Count them in; raises TooManyFailures, naming the first failure, when the budget is gone.

        What never met a handler, or is the event's own fault, says nothing about it.
        """
        failures = [failure for failure in failures if failure.of_handler]
        keep = max(0.0, 1 - events / self.WINDOW)
        self._events = self._events * keep + events
        self._failures = self._failures * keep + len(failures)
        most = self._most * max(1.0, events / self.BATCH)
        allowed = min(most, max(self.FEW, self._share * self._events)) + self._known
        if failures and self._failures > allowed:
            first = failures[0]
            raise TooManyFailures(
                f"{projection}: {len(failures)} of {events or len(failures)} events failed, the first at {first.position.topic}/"
                f"{first.position.partition} offset {first.position.offset} ({first.record}): {first.error}: "
                f"{first.message}; nothing of this batch is applied: mend the handler, then run again"
            )


def rejected(reject: Reject) -> Failure:
    """Of a record that is no event."""
    return Failure(reject.position, None, None, "MalformedEvent", reject.reason, "", reject.value, False)


def failed(error: BaseException, record: str, event: pl.DataFrame, batches: Sequence[Batch]) -> Failure:
    """Of an event (a frame of one row) that `error` came of."""
    batch = batches[event["_batch"][0]]
    position = Position(batch.topic, batch.partition, event["_offset"][0])
    trace = _storable("".join(traceback.format_exception(error)))
    message = _storable(_message(error))
    of_handler = not isinstance(error, EventUnfit) and not any(map(_is_odd, event.row(0)))
    return Failure(
        position, record, event["event_id"][0], type(error).__name__, message, trace, None, of_handler
    )


def _is_odd(value: object) -> bool:
    """Whether a field holds what neither sums nor PostgreSQL can take, in whatever depth.

    An entry of an index has at most 8191 bytes, compressed; a text that long is no key.
    """
    match value:
        case dict():
            return any(map(_is_odd, value.values()))
        case list() | tuple():
            return any(map(_is_odd, value))
        case str():
            return "\x00" in value or len(value) > LONGEST_KEY
        case bool() | None:
            return False
        case int() | float():
            return not abs(value) <= SUMMABLE  # NaN is not
        case _:
            return False


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001 - a handler may raise an error of its own making
        return f"its message cannot be had: {type(worse).__name__}"


def _storable(text: str) -> str:
    """`text` as UTF-8 can hold it, cut where it is longer than anybody reads."""
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text):,} characters)"
    return cut.encode(errors="backslashreplace").decode()
