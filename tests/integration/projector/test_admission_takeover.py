"""Admission changes hands, partitions move: nothing is judged twice, nothing is left out, no position goes back."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from tests.integration.projector.admission import CONTRACT, STOCK, admit, conflicts, put, received, skipped

from tillroll.database import Connection, Database
from tillroll.errors import LogUnavailable, Replaced, StoreUnavailable, TillrollError, Unavailable
from tillroll.events import StockReceived
from tillroll.log import group
from tillroll.log.group import POLL_BYTES
from tillroll.log.port import Batch, TopicPartition
from tillroll.services.admission.admitter import Admitter
from tillroll.store.admission import CANDIDATES, OFFICE_LOCK, AdmissionTable, Verdicts
from tillroll.store.postgres import PostgresStore
from tillroll.testing.unsettled import UnsettledLog


class HeldUp(UnsettledLog):
    """A log whose reader is held up, once, with what it has read in its hands: `meanwhile` happens then."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        batches = super().read(origin, offset, max_bytes)
        if batches:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return batches


class Remembered(Database):
    """A database that remembers the connections it hands out, as a connection pooler in between does."""

    def __init__(self, conninfo: str):
        super().__init__(conninfo)
        self.connections: list[Connection] = []

    def connect(self, autocommit: bool = True) -> Connection:
        self.connections.append(super().connect(autocommit))
        return self.connections[-1]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    monkeypatch.setattr(group, "REFRESH_SECONDS", 0.0)
    log = HeldUp()
    log.create_topics(CONTRACT.topics.values())
    return log


@pytest.fixture
def old_store(postgres_url: str) -> Iterator[PostgresStore]:
    """The store as the first admitter sees it."""
    store = PostgresStore(postgres_url)
    store.database = Remembered(postgres_url)
    yield store
    store.close()


def lose_connection(of: PostgresStore) -> None:
    session = office(of).info.backend_pid
    with of.connection() as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", [session])


def lose_lock(of: PostgresStore) -> None:
    """As behind a pooler that gives the session to another."""
    office(of).execute("select pg_advisory_unlock(%s)", [OFFICE_LOCK])


def office(of: PostgresStore) -> Connection:
    assert isinstance(of.database, Remembered)
    return of.database.connections[-1]


@pytest.mark.parametrize(("lose", "told"), [(lose_connection, Unavailable), (lose_lock, Replaced)])
def test_taken_over_with_a_batch_in_hand_nothing_is_doubled_or_lost(
    log: HeldUp,
    old_store: PostgresStore,
    store: PostgresStore,
    lose: Callable[[PostgresStore], None],
    told: type[TillrollError],
) -> None:
    old, new = Admitter(log, old_store, CONTRACT), Admitter(log, store, CONTRACT)
    twice, other = received(), received()
    conflict = StockReceived.read(other.fields() | {"quantity": 2})
    put(log, 0, twice, other)
    put(log, 1, received())
    assert old.step(0) == 3
    repeats = [*put(log, 0, twice), *put(log, 1, conflict, twice), *put(log, 2, twice), *put(log, 3, twice)]

    judged = []

    def take_over() -> None:
        lose(old_store)
        judged.append(new.step(0) or 0)

    log.meanwhile = take_over
    with pytest.raises(told):
        old.step(0)
    judged.append(admit(new))
    assert all(judged)  # a part while the old one was still in the group, the rest after
    assert sum(judged) == len(repeats)
    assert skipped(store) == set(repeats)
    assert len(conflicts(store)) == 1
    assert Verdicts(store).admitted(STOCK) == dict(zip(STOCK, (3, 3, 1, 1), strict=True))
    assert old.step(0) is None
    new.close()


def test_partitions_that_went_and_came_back_go_on_where_they_are_admitted(
    log: HeldUp, store: PostgresStore
) -> None:
    admitter = Admitter(log, store, CONTRACT)
    for origin in STOCK:
        put(log, origin.partition, received(), received())
    assert admit(admitter) == 8
    passing = log.subscribe(
        sorted(CONTRACT.topics),
        store.group("tillroll_admission"),
        lambda won: dict.fromkeys(won, 0),
        lambda lost: None,
    )
    assert admitter.step(0) == 0
    passing.close()
    assert admitter.step(0) == 0
    for origin in STOCK:
        put(log, origin.partition, received())
    assert admit(admitter) == 4
    admitter.close()


def test_what_is_admitted_never_goes_back(store: PostgresStore) -> None:
    table = AdmissionTable(store)
    assert table.lead(STOCK, lambda origins: dict.fromkeys(origins, 0))
    nothing = CANDIDATES.to_frame()
    table.settle(nothing, {STOCK[0]: 5, STOCK[1]: 1}, lambda repeats: [])
    with pytest.raises(Replaced, match="stock/0 was read from before what is admitted"):
        table.settle(nothing, {STOCK[1]: 2, STOCK[0]: 3}, lambda repeats: [])
    assert table.positions(STOCK[:2]) == Verdicts(store).admitted(STOCK[:2]) == {STOCK[0]: 5, STOCK[1]: 1}
    table.close()


def test_the_office_is_free_once_it_is_given_up(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the server takes over the connection that ends."""
    first, second = AdmissionTable(store), AdmissionTable(store)
    assert first.lead([], lambda origins: dict.fromkeys(origins, 0))
    ending = first._connection
    assert ending is not None
    with monkeypatch.context() as slow:
        slow.setattr(ending, "close", lambda: None)
        first.close()
    assert second.lead([], lambda origins: dict.fromkeys(origins, 0))
    second.close()
    ending.close()


def test_a_connection_cut_while_the_office_is_taken_is_an_outage_and_leaves_it_free(
    store: PostgresStore,
) -> None:
    def cut(origins: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        with store.connection() as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = %s "
                "and database = (select oid from pg_database where datname = current_database())",
                [OFFICE_LOCK],
            )
        return dict.fromkeys(origins, 0)

    table = AdmissionTable(store)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        table.lead(STOCK, cut)
    assert table.lead(STOCK, lambda origins: dict.fromkeys(origins, 0))
    table.close()


def test_a_log_that_fails_while_the_office_is_taken_leaves_it_free(store: PostgresStore) -> None:
    def down(origins: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        raise LogUnavailable("down")

    first, second = AdmissionTable(store), AdmissionTable(store)
    with pytest.raises(LogUnavailable):
        first.lead(STOCK, down)
    assert second.lead(STOCK, lambda origins: dict.fromkeys(origins, 0))
    second.close()
