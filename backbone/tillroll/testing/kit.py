"""Given / when / then for projections: events in, rows out, no database.

    def test_what_is_received_can_be_sold() -> None:
        given(
            event(StockReceived, sku="shoe", location_id="s1", quantity=3),
            event(SafetyStockSet, sku="shoe", location_id="s1", quantity=1),
        ).when(StoreAvailability).then([{"sku": "shoe", "location_id": "s1", "sellable": 2}])

The events take the real way: encoded, appended to a log in memory (which drops what it has already), decoded,
folded and read through the projection's views.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from typing import Any, TypeVar

import polars as pl

from tillroll.contract.avro_types import ArrayType, AvroType, Nullable, RecordType
from tillroll.contract.registry import load_contract
from tillroll.errors import UsageError
from tillroll.events import Event, event_id_for
from tillroll.log import extent
from tillroll.log.decode import decode_batches
from tillroll.log.memory import MemoryLog
from tillroll.projection.declare import Projection
from tillroll.projection.evaluate import read_views
from tillroll.projection.failures import Failure
from tillroll.projection.fold import Folded, Folder, combine
from tillroll.publisher import Publisher

__all__ = ["Given", "Outcome", "event", "fold_log", "given"]

E = TypeVar("E", bound=Event)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_numbers = count(1)


def event(kind: type[E], at: str | datetime = NOON, **fields: Any) -> E:
    """An event of this type; what every event needs is filled in, what it is about has to be said.

    at: when it happened, as ISO 8601 text with zone or a time. Filled in unless given: the envelope, the order's
    channel and book day, the currency (EUR); in lines line_id (1, 2, ...), kind PRODUCT and location_id ''.
    Raises MalformedEvent naming the field that is missing, unknown or of another type.
    """
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    if when.utcoffset() is None:
        raise UsageError(f"{at!r} is a time without zone; write 2026-01-02T10:00Z")
    schema = load_contract().latest(kind.record)
    fresh = event_id_for("test", kind.record, f"number {next(_numbers)}")
    filling = _filling(fresh, when, fields.get("channel", "web"))
    return kind.read(_filled(schema.type, fields, filling))


def given(*events: Event) -> "Given":
    """What has happened, in the order in which it is told."""
    return Given(events)


@dataclass(frozen=True)
class Given:
    """What has happened."""

    events: tuple[Event, ...]

    def and_then(self, *events: Event) -> "Given":
        """The same, and these too."""
        return Given((*self.events, *events))

    def when(self, projection: type[Projection]) -> "Outcome":
        """The rows that `projection` makes of it."""
        log = MemoryLog()
        Publisher(log, load_contract()).publish(self.events)
        folded = fold_log(projection, log)
        return Outcome(projection, read_views(projection, folded.deltas), tuple(folded.failures))


@dataclass(frozen=True)
class Outcome:
    """The views of a projection, by name, and the events that its handlers could not take."""

    projection: type[Projection]
    views: Mapping[str, pl.DataFrame]
    failures: tuple[Failure, ...]

    def then(self, rows: Iterable[Mapping[str, Any]], view: str | None = None) -> "Outcome":
        """These are the rows of the view, all of them, in any order; columns that are left out may be anything.

        view: the one named like the projection unless given. Raises AssertionError saying what differs.
        """
        assert not self.failures, f"\n{_told(self.failures)}"
        name = view or self.projection.name
        found = _differences(list(rows), self.rows(name).rows(named=True))
        assert not found, f"{name} is not as expected:\n" + "\n".join(f"  {line}" for line in found)
        return self

    def then_nothing(self, view: str | None = None) -> "Outcome":
        """The view has no rows."""
        return self.then([], view)

    def then_fails(self, reason: str) -> "Outcome":
        """At least one event was not taken, and every one that was not says `reason` (a part of the message)."""
        told = _told(self.failures) or "every event was taken"
        fitting = [failure for failure in self.failures if reason in f"{failure.error}: {failure.message}"]
        assert fitting, f"no event fails with {reason!r}:\n{told}"
        assert len(fitting) == len(self.failures), f"events fail for other reasons than {reason!r}:\n{told}"
        return self

    def rows(self, view: str | None = None) -> pl.DataFrame:
        """The rows of a view, in no particular order. Raises UsageError when there is no such view."""
        name = view or self.projection.name
        if name not in self.views:
            raise UsageError(
                f"{self.projection.__name__} has no view {name!r}; it has {', '.join(sorted(self.views))}: "
                "name one with view=..."
            )
        return self.views[name]


def fold_log(projection: type[Projection], log: MemoryLog) -> Folded:
    """Everything that `projection` makes of what is in `log`, batch by batch."""
    contract = load_contract()
    folder = Folder(projection(), contract)
    batches = [batch for origin in extent.origins(log, projection.topics()) for batch in log.read(origin, 0)]
    return combine(
        projection, [folder.fold(decode_batches([b], contract, folder.wanted), [b]) for b in batches]
    )


# --- events --------------------------------------------------------------------------------------------


def _filling(event_id: str, at: datetime, channel: str) -> dict[str, Callable[[int], Any]]:
    """What to put where a field is not given: a function of the entry's number in its list."""
    day: date = at.astimezone(UTC).date()
    known = {
        "event_id": event_id,
        "source": "test",
        "channel": channel,
        "occurred_at": at,
        "business_date": day,
        "order_channel": channel,
        "order_business_date": day,
        "currency": "EUR",
        "kind": "PRODUCT",
        "location_id": "",
    }
    plain = {name: partial(lambda value, number: value, value) for name, value in known.items()}
    return plain | {"line_id": lambda number: str(number + 1)}


_IN_LINES_ONLY = ("line_id", "kind", "location_id")


def _filled(
    type_: RecordType,
    given: Mapping[str, Any],
    filling: Mapping[str, Callable[[int], Any]],
    number: int | None = None,
) -> dict[str, Any]:
    out = dict(given)
    for field in type_.fields:
        if field.name in out:
            out[field.name] = _filled_below(field.type, out[field.name], filling)
        elif field.name in filling and (number is not None or field.name not in _IN_LINES_ONLY):
            out[field.name] = filling[field.name](number or 0)
    return out


def _filled_below(type_: AvroType, value: Any, filling: Mapping[str, Callable[[int], Any]]) -> Any:
    """Entries of lists of lines with what they need; everything else as it is."""
    if isinstance(type_, Nullable):
        return _filled_below(type_.inner, value, filling)
    if (
        not isinstance(type_, ArrayType)
        or not isinstance(type_.items, RecordType)
        or not isinstance(value, list)
    ):
        return value
    if "line_id" not in {field.name for field in type_.items.fields}:
        return value
    return [
        _filled(type_.items, entry, filling, n) if isinstance(entry, Mapping) else entry
        for n, entry in enumerate(value)
    ]


# --- differences ---------------------------------------------------------------------------------------


def _told(failures: Sequence[Failure]) -> str:
    return "\n".join(f"{f.record} was not taken: {f.error}: {f.message}\n{f.traceback}" for f in failures)


def _differences(wanted: list[Mapping[str, Any]], got: list[dict[str, Any]]) -> list[str]:
    """What differs, line by line; empty where every wanted row has a row of its own and none is left."""
    left = list(got)
    unmet = []
    for row in wanted:
        found = next((other for other in left if not _cells(row, other)), None)
        if found is None:
            unmet.append(row)
        else:
            left.remove(found)
    out = []
    for row in unmet:
        nearest = max(left, key=lambda other: _alike(row, other), default=None)
        if nearest is None or not _alike(row, nearest):
            out.append(f"there is no row {dict(row)}")
            continue
        left.remove(nearest)
        cells = _cells(row, nearest)
        same = ", ".join(f"{name} {value!r}" for name, value in row.items() if name not in cells)
        out += [f"in the row of {same}:"] + [f"  {cell}" for cell in cells.values()]
    return out + [f"there is a row too many: {row}" for row in left]


def _cells(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, str]:
    """By column what is wrong with it."""
    out = {}
    for name, value in wanted.items():
        if name not in got:
            out[name] = f"there is no column {name}; there are {', '.join(got)}"
        elif got[name] != value or isinstance(got[name], bool) != isinstance(value, bool):
            out[name] = f"{name} is {got[name]!r}, expected {value!r}"
    return out


def _alike(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> int:
    return len(wanted) - len(_cells(wanted, got))
