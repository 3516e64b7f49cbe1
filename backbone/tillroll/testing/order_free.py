"""Whether a projection gives the same rows whatever the order and the batches its events arrive in.

    def test_is_order_free() -> None:
        assert_order_free(ReturnsByReason)

A history is generated from the schemas of the events that the projection reads: few keys, so that they
collide; ties in time; counts that are heard of late, clocks a year ahead, ends before beginnings; nulls,
training, and transactions voided before or after they are known. It is then permuted, events are repeated at any
distance (the log drops those), and it is cut into batches in any way. What comes out has to be the same. When it
is not, the smallest history that shows it is printed as a test.
"""

import base64
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from tillroll.contract.avro_types import ArrayType, AvroType, Nullable, Primitive
from tillroll.contract.registry import Contract, load_contract
from tillroll.contract.wire import encode
from tillroll.events import EVENTS, Event, TransactionVoided
from tillroll.log.decode import decode_batches
from tillroll.log.encode import encode_values
from tillroll.log.port import Batch, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.projection.evaluate import read_views
from tillroll.projection.fold import Folded, Folder, combine
from tillroll.store.postgres import Claim, PostgresStore
from tillroll.testing.generate import Generator

__all__ = [
    "Few",
    "Rows",
    "assert_order_free",
    "generated_history",
    "rows_after",
    "rows_in_store",
    "stored_rows",
]

Rows = dict[str, list[dict[str, Any]]]
"""By view its rows, sorted, as plain values that can be compared; by "failures" what was not taken."""

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
YEAR = timedelta(days=365)
MOST_TRIES = 400  # of the search for a small history

POOLS: Mapping[str, tuple[Any, ...]] = {
    "sku": ("a", "b"),
    "line_id": ("1", "2"),
    "order_id": ("o1", "o2"),
    "return_id": ("r1", "r2"),
    "refund_id": ("f1", "f2"),
    "reservation_id": ("v1", "v2", "v3"),
    "transfer_id": ("t1", "t2"),
    "location_id": ("s1", "s2", ""),
    "origin_id": ("s1", "s2"),
    "destination_id": ("s1", "s2"),
    "order_location_id": ("s1", ""),
    "currency": ("EUR", "GBP"),
    "channel": ("web", "store"),
    "order_channel": ("web", "store"),
    "disposition": ("sellable", "damaged"),
    "quantity": (0, 1, 2, 3, 7, 40),
    "received": (0, 1, 2),
    "missing": (0, 1),
    "amount_minor": (0, 1, 995, -250, 10_000),
    "business_date": (date(2026, 3, 1), date(2026, 3, 2)),
    "order_business_date": (date(2026, 3, 1), date(2026, 3, 2)),
    "source_seq": (None, None, 1, 2, 10),
}


# --- a history -------------------------------------------------------------------------------------------


class Few(Generator):
    """Events that meet: few keys, few instants, moderate numbers."""

    def field(self, name: str, type_: AvroType) -> Any:
        if name == "occurred_at":
            return self._instant()
        if name == "training":
            return self.random.random() < 0.05
        if name in POOLS:
            known = self.random.choice(POOLS[name])
            absent = isinstance(type_, Nullable) and name != "business_date" and self.random.random() < 0.15
            return None if absent else known
        return self.value(type_)

    def primitive(self, type_: Primitive) -> Any:
        match type_:
            case Primitive.STRING:
                return self.random.choice(("x", "y", "Zebra", "ärmel"))
            case Primitive.LONG | Primitive.INT:
                return self.random.choice((0, 1, 2, 5, -3))
            case Primitive.TIMESTAMP:
                return self._instant()
            case Primitive.DATE:
                return self.random.choice(POOLS["business_date"])
            case _:
                return super().primitive(type_)

    def value(self, type_: AvroType) -> Any:
        if isinstance(type_, ArrayType):
            return [self.value(type_.items) for _ in range(self.random.choice((0, 1, 2, 3)))]
        return super().value(type_)

    def _instant(self) -> datetime:
        near = START + timedelta(minutes=self.random.randrange(6))
        return near + self.random.choice((timedelta(), timedelta(), timedelta(), YEAR, -YEAR))


def generated_history(
    projection: type[Projection], seed: int, size: int, contract: Contract | None = None
) -> list[Event]:
    """`size` events of the types that `projection` reads, and voids of some of them, of some twice; the same for the same seed."""
    contract = contract or load_contract()
    generator = Few(f"{projection.name} {seed}")
    chance = generator.random
    known = sorted(projection.records() & EVENTS.keys())
    events: list[Event] = []
    voided: list[Event] = []
    for _ in range(size):
        if events and chance.random() < 0.05:
            again = chance.sample(voided, 1) if voided and chance.random() < 0.4 else []
            voided += chance.sample(events, min(len(events), 2))
            events.append(_void(generator, [*again, *voided[-2:]], contract))
        else:
            record = chance.choice(known)
            events.append(EVENTS[record].read(generator.event(contract.latest(record))))
    return events


def _void(generator: Few, events: Iterable[Event], contract: Contract) -> Event:
    named = [
        {
            "topic": event.topic,
            "event_id": event.event_id,
            "event": base64.b64encode(_wire(event, contract)).decode(),
        }
        for event in events
        if not isinstance(event, TransactionVoided)
    ]
    fields = generator.event(contract.latest(TransactionVoided.record))
    return TransactionVoided.read(fields | {"voided": named, "training": False})


def _wire(event: Event, contract: Contract) -> bytes:
    return encode(contract.latest(event.record), event.fields())


# --- what comes out of it ----------------------------------------------------------------------------------


def rows_after(projection: type[Projection], batches: Sequence[Sequence[Event]]) -> Rows:
    """The rows of every view after these batches one by one, by Polars; events that were there are dropped."""
    folded = combine(projection, _folds(projection, batches))
    views = {name: frame.rows(named=True) for name, frame in read_views(projection, folded.deltas).items()}
    return _plain(views) | _failures([folded])


def rows_in_store(
    projection: type[Projection], batches: Sequence[Sequence[Event]], store: PostgresStore
) -> Rows:
    """The same by PostgreSQL, a commit a batch, in tables made anew."""
    _make_anew(projection, store)
    origin = TopicPartition("history", 0)
    claims = store.claim(projection, [origin])
    writer = store.writer(projection)
    folds = _folds(projection, batches)
    try:
        for folded in folds:
            claim = claims[origin]
            writer.commit(folded, claims, {origin: claim.next_offset + 1})
            claims[origin] = Claim(claim.next_offset + 1, claim.epoch)
    finally:
        writer.close()
    return stored_rows(projection, store) | _failures(folds)


def stored_rows(projection: type[Projection], store: PostgresStore) -> Rows:
    """The rows of every view that `store` holds now; "failures" is empty."""
    return _plain({name: _select(store, name) for name in _views(projection)}) | _failures([])


def _folds(projection: type[Projection], batches: Sequence[Sequence[Event]]) -> list[Folded]:
    contract = load_contract()
    folder = Folder(projection(), contract)
    seen: set[str] = set()
    out = []
    for events in batches:
        fresh = {event.event_id: event for event in events if event.event_id not in seen}
        seen |= fresh.keys()
        values = [_wire(event, contract) for event in fresh.values()]
        body = encode_values([b""] * len(values), values)
        batch = Batch("history", 0, 0, len(values), len(values), 0, 0, body)
        out.append(folder.fold(decode_batches([batch], contract, folder.wanted), [batch]))
    return out


def _views(projection: type[Projection]) -> list[str]:
    return [*(table.view for table in projection.tables), *projection.views]


def _make_anew(projection: type[Projection], store: PostgresStore) -> None:
    with store.connection() as connection:
        connection.execute(f'drop schema if exists "{projection.schema()}" cascade')
        for table in ("projections", "positions", "taken_back"):
            column = "name" if table == "projections" else "projection"
            connection.execute(f"delete from tillroll.{table} where {column} = %s", [projection.name])
    store.install(projection)


def _select(store: PostgresStore, view: str) -> list[dict[str, Any]]:
    with store.connection() as connection:
        cursor = connection.execute(f'select * from "{view}"')
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _plain(views: Mapping[str, Iterable[Mapping[str, Any]]]) -> Rows:
    return {
        name: sorted(({column: _value(v) for column, v in row.items()} for row in found), key=repr)
        for name, found in views.items()
    }


def _failures(folds: Iterable[Folded]) -> Rows:
    found = [
        {"event": f.event_id, "record": f.record, "why": f"{f.error}: {f.message}"}
        for folded in folds
        for f in folded.failures
    ]
    return {"failures": sorted(found, key=repr)}


def _value(value: Any) -> Any:
    """What a store in SQL and Polars both mean: one time zone, whole numbers whole, dates in lists as text."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case list():
            return [item.isoformat() if isinstance(item, date) else item for item in value]
        case _:
            return value


# --- the property ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Finding:
    """Two ways in which the same events arrive, and what they end in."""

    batches: tuple[list[list[Event]], list[list[Event]]]
    rows: tuple[Rows, Rows]


def assert_order_free(
    projection: type[Projection],
    *,
    seeds: Iterable[int] = range(3),
    size: int = 60,
    ways: int = 5,
    store: PostgresStore | None = None,
) -> None:
    """For each seed a history of `size` events, arriving in `ways` ways: always the same rows, and no failure.

    store: PostgreSQL gives the rows of every further way, to be equal to those of Polars. Raises AssertionError
    with the smallest history found, as a test; its events are told in full, since any field may matter.
    """
    for seed in seeds:
        history = generated_history(projection, seed, size)
        search = partial(_find, projection, seed=seed, ways=ways, store=store)
        if search(history) is not None:
            found = search(_shrunk(history, lambda part, search=search: search(part) is not None))  # type: ignore[misc]
            assert found is not None
            raise AssertionError(_report(projection, found, in_store=store is not None))


def _find(
    projection: type[Projection], history: Sequence[Event], seed: int, ways: int, store: PostgresStore | None
) -> _Finding | None:
    """Two ways of arriving that differ; None if there are none."""
    chance = random.Random(seed)
    told = [list(history)]
    rows = rows_after(projection, told)
    if rows["failures"]:
        return _Finding((told, told), (rows | {"failures": []}, rows))
    for arrival in [
        [[event] for event in reversed(history)],
        *(_arrival(chance, history) for _ in range(ways)),
    ]:
        other = rows_after(projection, arrival)
        if other == rows and store is not None:
            other = rows_in_store(projection, arrival, store)
        if other != rows:
            return _Finding((told, arrival), (rows, other))
    return None


def _arrival(chance: random.Random, history: Sequence[Event]) -> list[list[Event]]:
    """The events in any order, some of them more than once, in batches of any size."""
    events = chance.sample(list(history), len(history))
    for event in chance.sample(list(history), len(history) // 5):
        events.insert(chance.randint(0, len(events)), event)
    cuts = sorted(chance.randint(0, len(events)) for _ in range(chance.randint(0, 5)))
    return [events[low:high] for low, high in zip([0, *cuts], [*cuts, len(events)], strict=True)]


def _shrunk(history: Sequence[Event], fails: Callable[[Sequence[Event]], bool]) -> list[Event]:
    """A part of the history that still fails and of which hardly anything can be left out."""
    smallest, step, tries = list(history), len(history) // 2, 0
    while step and tries < MOST_TRIES:
        at = 0
        while at < len(smallest) and tries < MOST_TRIES:
            part = smallest[:at] + smallest[at + step :]
            tries += 1
            if part and fails(part):
                smallest = part
            else:
                at += step
        step //= 2
    return smallest


# --- as a test ---------------------------------------------------------------------------------------------


def _report(projection: type[Projection], finding: _Finding, in_store: bool) -> str:
    names = {event.event_id: f"event_{n}" for n, event in enumerate(finding.batches[0][0])}
    told, other = ([[names[event.event_id] for event in batch] for batch in way] for way in finding.batches)
    head = f"{projection.__name__}: the rows depend on how the events arrive"
    if told == other:
        head = f"{projection.__name__}: a valid event is not taken"
    return "\n".join(
        [
            head,
            *_differences(*finding.rows),
            "",
            "as a test:",
            "",
            *_test(finding, names, in_store, projection),
        ]
    )


def _test(
    finding: _Finding, names: Mapping[str, str], in_store: bool, projection: type[Projection]
) -> Iterable[str]:
    told, other = (
        "["
        + ", ".join("[" + ", ".join(names[e.event_id] for e in batch) + "]" for batch in way if batch)
        + "]"
        for way in finding.batches
    )
    second = (
        f"rows_in_store({projection.__name__}, {other}, store)"
        if in_store
        else f"rows_after({projection.__name__}, {other})"
    )
    yield f"def test_{projection.name}_is_order_free({'store: PostgresStore' if in_store else ''}) -> None:"
    for event in finding.batches[0][0]:
        yield f"    {names[event.event_id]} = {_code(event)}"
    yield f"    assert rows_after({projection.__name__}, {told}) == {second}"


def _code(event: Event) -> str:
    fields = {name: value for name, value in event.fields().items() if value is not None}
    shown = ", ".join(f"{name}={_literal(value)}" for name, value in fields.items())
    return f"{event.record}.read(dict({shown}))"


def _literal(value: Any) -> str:
    return repr(value.isoformat()) if isinstance(value, date) else repr(value)


def _differences(left: Rows, right: Rows) -> Iterable[str]:
    for view in sorted(left.keys() | right.keys()):
        one, two = left.get(view, []), right.get(view, [])
        for row in one:
            if row not in two:
                yield f"  {view}, one way:       {row}"
        for row in two:
            if row not in one:
                yield f"  {view}, the other way: {row}"
