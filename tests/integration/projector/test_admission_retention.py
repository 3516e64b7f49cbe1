"""A log lets go of its oldest events: what repeats one of them is a duplicate, and admission goes on."""

from collections.abc import Iterator, Sequence

import pytest
from tests.integration.projector.admission import CONTRACT, STOCK, admit, conflicts, put, received, skipped

from tillroll.errors import PositionOutOfRange
from tillroll.events import StockReceived
from tillroll.log.group import POLL_BYTES
from tillroll.log.port import Batch, TopicPartition
from tillroll.services.admission.admitter import Admitter
from tillroll.store.admission import Verdicts
from tillroll.store.postgres import PostgresStore
from tillroll.testing.unsettled import UnsettledLog


class Trimmed(UnsettledLog):
    """A log that holds only what stands at `starts` and later, as Kafka's retention leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: dict[TopicPartition, int] = {}
        self.torn: set[TopicPartition] = set()
        self.ends: dict[TopicPartition, int] = {}

    def start_offset(self, origin: TopicPartition) -> int:
        return self.starts.get(origin, 0)

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        if offset < self.start_offset(origin) or (
            origin in self.torn and offset < self.end_offset(origin) - 1
        ):
            raise PositionOutOfRange(f"{origin}: offset {offset} is not there")
        if offset >= self.ends.get(origin, offset + 1):
            return []
        return super().read(origin, offset, max_bytes)


@pytest.fixture
def log() -> Trimmed:
    log = Trimmed()
    log.create_topics(CONTRACT.topics.values())
    return log


@pytest.fixture
def admitter(log: Trimmed, store: PostgresStore) -> Iterator[Admitter]:
    admitter = Admitter(log, store, CONTRACT)
    yield admitter
    admitter.close()


def changed(of: StockReceived) -> StockReceived:
    """Another event under the same id."""
    return StockReceived.read(of.fields() | {"quantity": of.quantity + 1})


def test_a_repeat_of_an_event_that_is_gone_is_a_duplicate(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    gone = received()
    put(log, 0, gone, received())
    admit(admitter)
    log.starts[STOCK[0]] = 1
    again = put(log, 1, gone, received(), changed(gone))
    assert admit(admitter) == 3
    assert skipped(store) == {again[0], again[2]}
    assert conflicts(store) == []
    assert Verdicts(store).admitted(STOCK[1:2]) == {STOCK[1]: 3}


def test_a_new_store_admits_what_the_log_still_has(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    kept = received()
    put(log, 0, received(), received())
    put(log, 0, kept)
    put(log, 1, received(), kept)
    log.starts[STOCK[0]] = 2
    assert admit(admitter) == 3
    assert Verdicts(store).admitted(STOCK[:3]) == {STOCK[0]: 3, STOCK[1]: 2, STOCK[2]: 0}
    assert len(skipped(store)) == 1


def test_admission_goes_on_behind_what_it_never_saw(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    put(log, 0, received())
    admit(admitter)
    admitter.close()
    put(log, 0, received(), received())
    put(log, 0, received())
    log.starts[STOCK[0]] = 3
    assert admit(admitter) == 1
    assert Verdicts(store).admitted(STOCK[:1]) == {STOCK[0]: 4}
    admitter.close()
    log.starts[STOCK[0]] = 1  # never taken back
    assert admit(admitter) == 0
    assert Verdicts(store).admitted(STOCK[:1]) == {STOCK[0]: 4}


def test_conflicts_with_events_that_are_held_are_found_beside_those_that_are_gone(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    first, second, third, elsewhere = (received() for _ in range(4))
    put(log, 0, first)
    put(log, 0, second, third)
    put(log, 1, elsewhere)
    admit(admitter)
    log.starts |= {STOCK[0]: 2, STOCK[1]: 1}
    again = put(log, 2, *(changed(one) for one in (first, second, third, elsewhere)))
    admit(admitter)
    assert skipped(store) == set(again)
    assert [conflict[3] for conflict in conflicts(store)] == [third.event_id]


def test_a_first_event_that_must_be_there_but_is_not_stops_admission(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    """A log that lost its end says nothing about what is too old."""
    one = received()
    put(log, 0, one, received())
    admit(admitter)
    log.torn.add(STOCK[0])
    put(log, 1, changed(one))
    with pytest.raises(PositionOutOfRange):
        admit(admitter)
    assert skipped(store) == set()
    assert Verdicts(store).admitted(STOCK[1:2]) == {STOCK[1]: 0}


def test_a_log_that_ends_where_the_first_event_stood_stops_admission(
    log: Trimmed, store: PostgresStore, admitter: Admitter
) -> None:
    """That offset is in range, and nothing is there: what lost its end answers like one that is read to its end."""
    one = received()
    put(log, 0, received(), one)
    admit(admitter)
    log.ends[STOCK[0]] = 1
    put(log, 1, changed(one))
    with pytest.raises(PositionOutOfRange, match=r"^stock/0 ends at offset 1, .* lost events.*; restore it"):
        admit(admitter)
    assert skipped(store) == set()
    assert Verdicts(store).admitted(STOCK[1:2]) == {STOCK[1]: 0}
