"""The past of a read model on PostgreSQL and on Kafka, with a store's verdicts on duplicates and without a store."""

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.integration.projector.admission import admit
from tests.unit.history.logs import CONTRACT, filled, fresh_rows, now_between, publish, put, rows_of

from tillroll.events import Event, StockReceived
from tillroll.history import admitted
from tillroll.history.scan import Ranges, Slice
from tillroll.history.view import History
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import EventLog
from tillroll.log.postgres import PostgresLog
from tillroll.projection import Frame, Key, Projection, Sum, on
from tillroll.projection.registry import load_projections
from tillroll.services.admission.admitter import Admitter
from tillroll.store.postgres import PostgresStore
from tillroll.testing import event
from tillroll.testing.order_free import START, generated_history
from tillroll.testing.unsettled import UnsettledLog

PROJECTIONS = [pytest.param(each, id=each.name) for each in load_projections().values()]


@pytest.fixture
def log(postgres_url: str) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres_url)
    log.create_topics(CONTRACT.topics.values())
    yield log
    log.close()


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


# --- PostgreSQL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_as_of_ten_dates_it_is_what_only_the_events_up_to_then_give(
    log: PostgresLog, projection: type[Projection]
) -> None:
    events = generated_history(projection, seed=15, size=300)
    publish(log, events)
    chance = random.Random(15)
    for at in [START + timedelta(seconds=chance.randint(-60, 360)) for _ in range(10)]:
        by_then = [each for each in events if each.occurred_at <= at]
        found = History(log, CONTRACT).past(projection, Slice(as_of=at))
        assert rows_of(found) == fresh_rows(projection, by_then)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_known_at_ten_times_it_is_what_only_the_events_recorded_by_then_give(
    log: PostgresLog, projection: type[Projection]
) -> None:
    events = generated_history(projection, seed=16, size=100)
    times = []
    for low in range(0, 100, 10):
        publish(log, events[low : low + 10])
        times.append(now_between())
    sum(log.tidy())
    for at, count in zip(times, range(10, 101, 10), strict=True):
        found = History(log, CONTRACT).past(projection, Slice(known_at=at))
        assert rows_of(found) == fresh_rows(projection, events[:count])


# --- with and without a store ---------------------------------------------------------------------------


def received(sku: str, quantity: int) -> StockReceived:
    return event(StockReceived, sku=sku, location_id="s", quantity=quantity)


class Received(Projection):
    """Units received."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Adds up."""
        return events.select("sku", units="quantity")


def units(log: EventLog, sku: str, store: PostgresStore | None = None) -> list[int]:
    rows = History(log, CONTRACT, store).past(Received).views["received"]
    return rows.filter(sku=sku)["units"].to_list()


def with_repeats(log: EventLog, sku: str) -> None:
    """5 and 2 units, both repeated, and other bytes under the first one's id."""
    five, two = received(sku, 5), received(sku, 2)
    put(log, 1, five, two, five)
    put(log, 1, StockReceived.read(five.fields() | {"quantity": 1_000}))
    put(log, 1, two)


@pytest.fixture
def _no_first_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(log: EventLog, ranges: Ranges, slice_: Slice) -> None:
        raise AssertionError("the ids were read again")

    monkeypatch.setattr(admitted, "_repeats", refuse)


@pytest.mark.usefixtures("_no_first_pass")
def test_the_verdicts_of_a_store_are_taken(store: PostgresStore) -> None:
    log = filled([], UnsettledLog())
    with_repeats(log, "a")
    store.bind(log.identity)
    admitter = Admitter(log, store, CONTRACT)
    admit(admitter)
    admitter.close()
    assert units(log, "a", store) == [7]


def test_a_store_that_is_behind_or_of_another_log_is_not_asked(store: PostgresStore) -> None:
    log = filled([], UnsettledLog())
    with_repeats(log, "a")
    store.bind(log.identity)
    assert units(log, "a", store) == [7]
    other = filled([received("b", 1)], UnsettledLog())
    assert units(other, "b", store) == [1]


@pytest.mark.kafka
def test_on_kafka_with_a_store_and_without_one(kafka_address: str, store: PostgresStore) -> None:
    log, sku = KafkaLog(kafka_address), f"shoe-{uuid.uuid4()}"
    try:
        log.create_topics(CONTRACT.topics.values())
        before: Event = received(sku, 1)
        put(log, 1, before)
        known = now_between()
        with_repeats(log, sku)
        assert units(log, sku) == [8]
        found = History(log, CONTRACT).past(Received, Slice(known_at=known)).views["received"]
        assert found.filter(sku=sku)["units"].to_list() == [1]
        store.bind(log.identity)
        admitter = Admitter(log, store, CONTRACT)
        admit_all(admitter, log, store)
        admitter.close()
        assert units(log, sku, store) == [8]
    finally:
        log.close()


def admit_all(admitter: Admitter, log: EventLog, store: PostgresStore) -> None:
    """Until all of the log is admitted, its group having to be joined first."""
    from tillroll.history.scan import bounded
    from tillroll.store.admission import Verdicts

    ends = bounded(log, sorted(CONTRACT.topics), Slice())
    for _ in range(200):
        admitter.step(0.1)
        at = Verdicts(store).admitted(ends)
        if all(at[origin] >= stop for origin, (_, stop) in ends.items()):
            return
    raise AssertionError("admission does not reach the end")
