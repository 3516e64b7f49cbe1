"""The past of a read model is what projectors make of only the events up to then: in a store, and on Kafka with repeats."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from tests.integration.history.test_past import PROJECTIONS, admit_all
from tests.integration.projector.conftest import run_to_the_end
from tests.unit.history.logs import CONTRACT, filled, fresh_rows, now_between, publish, rows_of

from tillroll.events import Event
from tillroll.history.scan import Slice, bounded
from tillroll.history.view import History
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import EventLog, Positions
from tillroll.log.postgres import PostgresLog
from tillroll.projection import Projection
from tillroll.projections.channel_sales import ChannelSales
from tillroll.projections.store_availability import StoreAvailability
from tillroll.services.admission.admitter import Admitter
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore
from tillroll.store.reading import Question, query
from tillroll.testing.order_free import START, generated_history


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(postgres_url)) as store:
        yield store


def dates(seed: int) -> list[datetime]:
    """Ten, rising, among the times of a generated history."""
    chance = random.Random(seed)
    return sorted(START + timedelta(seconds=chance.randint(-60, 360)) for _ in range(10))


# --- in a store -----------------------------------------------------------------------------------------

Rows = dict[str, list[tuple[str, ...]]]


def text_of(rows: Sequence[tuple[object, ...]]) -> list[tuple[str, ...]]:
    """Comparable, whatever gave them: instants in one zone, whole numbers whole, dates in lists as text."""
    return sorted(tuple(_text(value) for value in row) for row in rows)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return str(value.timestamp())
    if isinstance(value, list):
        return str([str(each) for each in value])
    if isinstance(value, float | Decimal):
        return str(int(value) if value == int(value) else float(value))
    return str(value)


def in_store(store: PostgresStore, views: Sequence[str]) -> Rows:
    found = {}
    for view in views:
        with query(store, Question(view)) as answer:
            found[view] = text_of(list(answer.rows))
    return found


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_as_of_ten_dates_it_is_what_a_projector_has_made_in_a_store_by_then(
    postgres_url: str, store: PostgresStore, projection: type[Projection]
) -> None:
    events = generated_history(projection, seed=51, size=300)
    upto = filled([])
    with (
        closing(PostgresLog(postgres_url)) as log,
        closing(Projector(projection, upto, store, CONTRACT)) as p,
    ):
        log.create_topics(CONTRACT.topics.values())
        publish(log, events)
        history, seen = History(log, CONTRACT), 0
        for before, at in pairwise([None, *dates(51)]):
            assert at is not None
            publish(
                upto,
                [e for e in events if e.occurred_at <= at and (before is None or e.occurred_at > before)],
            )
            run_to_the_end(p, upto)
            past = history.past(projection, Slice(as_of=at)).views
            assert {view: text_of(rows.rows()) for view, rows in past.items()} == in_store(store, [*past])
            seen += sum(map(len, past.values()))
        assert seen


# --- on Kafka -------------------------------------------------------------------------------------------


def other_bytes(event: Event, chance: random.Random) -> Event:
    """Under the same id, and dated otherwise."""
    later = timedelta(seconds=chance.choice((-90, -30, 30, 90)))
    return type(event).read(event.fields() | {"occurred_at": event.occurred_at + later})


def with_repeats(log: EventLog, events: Sequence[Event], chance: random.Random) -> list[tuple[datetime, int]]:
    """In ten appends, with duplicates and conflicts of what was there before; after each the time, and how many count."""
    times, size = [], len(events) // 10
    for upto in range(size, len(events) + 1, size):
        publish(log, events[upto - size : upto])
        before = chance.sample(events[:upto], 6)
        publish(log, before[:3])
        publish(log, [other_bytes(event, chance) for event in before[3:]])
        times.append((now_between(), upto))
    return times


@pytest.fixture
def kafka(kafka_address: str) -> Iterator[KafkaLog]:
    with closing(KafkaLog(kafka_address)) as log:
        log.create_topics(CONTRACT.topics.values())
        yield log


def now_of(log: EventLog) -> Positions:
    """The topics are shared with other tests: where this one's events begin."""
    return {origin: stop for origin, (_, stop) in bounded(log, sorted(CONTRACT.topics), Slice()).items()}


@pytest.mark.kafka
@pytest.mark.parametrize("projection", [StoreAvailability, ChannelSales], ids=lambda each: each.name)
@pytest.mark.parametrize("judged", [False, True], ids=["no store", "a store's verdicts"])
def test_on_kafka_repeats_change_no_past(
    kafka: KafkaLog, store: PostgresStore, projection: type[Projection], judged: bool
) -> None:
    seed, start = 61 + judged, now_of(kafka)
    events = generated_history(projection, seed, size=200)
    times = with_repeats(kafka, events, random.Random(seed))
    if judged:
        store.bind(kafka.identity)
        with closing(Admitter(kafka, store, CONTRACT)) as admitter:
            admit_all(admitter, kafka, store)
    history = History(kafka, CONTRACT, store if judged else None)
    for at in dates(seed):
        found = history.past(projection, Slice(as_of=at, start=start))
        assert rows_of(found) == fresh_rows(projection, [e for e in events if e.occurred_at <= at])
    for known, count in times:
        found = history.past(projection, Slice(known_at=known, start=start))
        assert rows_of(found) == fresh_rows(projection, events[:count])
