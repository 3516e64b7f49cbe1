"""Every event counts once: over restarts, kills, hand-overs, and lost answers."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tillroll.contract.registry import load_contract
from tillroll.database import Connection
from tillroll.errors import PositionOutOfRange, Replaced, StoreUnavailable
from tillroll.events import Event
from tillroll.log import extent
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog, TopicPartition
from tillroll.projection.fold import Folded
from tillroll.projections.store_availability import StoreAvailability
from tillroll.publisher import Publisher
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import Claim, PostgresStore, Writer
from tillroll.testing.order_free import generated_history, rows_after, stored_rows

CONTRACT = load_contract()
Finish = Callable[[Projector, EventLog], int]


def projector(log: EventLog, store: PostgresStore, commit_bytes: int = 1) -> Projector:
    return Projector(StoreAvailability, log, store, CONTRACT, commit_bytes)


def published(log: EventLog, seed: int, size: int, batch: int = 20) -> list[Event]:
    events = generated_history(StoreAvailability, seed, size)
    publisher = Publisher(log, CONTRACT)
    for at in range(0, size, batch):
        publisher.publish(events[at : at + batch])
    return events


def right(store: PostgresStore, events: Sequence[Event]) -> bool:
    return stored_rows(StoreAvailability, store) == rows_after(StoreAvailability, [events])


@pytest.fixture(autouse=True)
def _never_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is folded waits for its commit, so that it can be lost in between."""
    monkeypatch.setattr(projecting, "FEW", 1)


def test_reads_everything_once_and_follows(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    events = published(log, 1, 200)
    one = projector(log, store)
    assert finish(one, log) == 200
    assert right(store, events)
    events += published(log, 2, 100)
    assert finish(one, log) == 100
    assert right(store, events)
    assert one.step(0).events == 0
    one.close()


def test_publishing_again_changes_nothing(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    events = published(log, 1, 100)
    one = projector(log, store)
    finish(one, log)
    published(log, 1, 100, batch=33)
    assert finish(one, log) == 0
    assert right(store, events)
    one.close()


def test_a_restart_goes_on_where_it_stopped(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    events: list[Event] = []
    for seed in range(4):
        events += published(log, seed, 60)
        one = projector(log, store)
        assert finish(one, log) == 60
        one.close()
    assert right(store, events)


def test_what_is_read_and_not_committed_is_read_again(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    events = published(log, 1, 100)
    given_up = projector(log, store, commit_bytes=10**9)
    assert given_up.step(0.2).events == 0  # folded, and kept
    one = projector(log, store)
    _leave(given_up)
    assert finish(one, log) == 100
    assert right(store, events)
    one.close()


def test_closing_commits_what_is_folded(log: EventLog, store: PostgresStore) -> None:
    events = published(log, 1, 100)
    one = projector(log, store, commit_bytes=10**9)
    one.step(0.2)
    one.close()
    assert right(store, events)


# --- fencing --------------------------------------------------------------------------------------------


def test_who_was_replaced_commits_nothing(store: PostgresStore) -> None:
    origin = TopicPartition("stock", 0)
    store.install(StoreAvailability)
    old = store.claim(StoreAvailability, [origin])
    new = store.claim(StoreAvailability, [origin])
    writer = store.writer(StoreAvailability)
    with pytest.raises(Replaced, match="store_availability: stock/0"):
        writer.commit(Folded(), old, {origin: 5})
    writer.commit(Folded(), new, {origin: 5})
    with pytest.raises(Replaced):  # the position has moved
        writer.commit(Folded(), new, {origin: 6})
    assert store.positions(StoreAvailability) == {origin: 5}
    writer.close()


def test_one_partition_lost_is_a_commit_lost(store: PostgresStore) -> None:
    origins = [TopicPartition("stock", n) for n in range(2)]
    store.install(StoreAvailability)
    mine = store.claim(StoreAvailability, origins)
    store.claim(StoreAvailability, origins[1:])
    writer = store.writer(StoreAvailability)
    with pytest.raises(Replaced, match="stock/1"):
        writer.commit(Folded(), mine, dict.fromkeys(origins, 5))
    assert set(store.positions(StoreAvailability).values()) == {0}
    writer.close()


def test_a_partition_claimed_by_another_is_given_up_and_the_others_lose_nothing(
    log: EventLog, store: PostgresStore, finish: Finish
) -> None:
    """The other claims while this one holds folded events of all partitions; then it is gone again."""
    events = published(log, 1, 200)
    one = projector(log, store, commit_bytes=10**9)
    one.step(0.2)
    store.claim(StoreAvailability, [TopicPartition("stock", 1), TopicPartition("orders", 0)])
    finish(one, log)
    assert right(store, events)
    one.close()


def test_a_hand_over_that_comes_too_late_loses_nothing_of_what_stays(
    log: EventLog, store: PostgresStore
) -> None:
    """The first member holds folded events of all partitions when the second claims its share of them."""
    events = published(log, 1, 200)
    one = projector(log, store, commit_bytes=10**9)
    one.step(0.2)
    two = projector(log, store)
    two.step(0)
    time.sleep(0.1)
    _step([one, two], 20)
    assert right(store, events)
    one.close()
    two.close()


def test_two_members_share_and_count_once(log: EventLog, store: PostgresStore) -> None:
    members = [projector(log, store) for _ in range(2)]
    _step(members, 10)
    events, counted = list[Event](), [0, 0]
    for seed in range(5):
        events += published(log, seed, 80)
        for n, by_member in enumerate(_step(members, 10)):
            counted[n] += by_member
    assert sum(counted) == 400
    assert min(counted) > 20  # few keys are spread unevenly
    assert right(store, events)
    for member in members:
        member.close()


def _step(members: Sequence[Projector], rounds: int) -> list[int]:
    """How many events each member committed."""
    steps = [[member.step(0.02).events for member in members] for _ in range(rounds)]
    return [sum(by_member) for by_member in zip(*steps, strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_members_come_and_go_while_events_arrive(
    log: EventLog, store: PostgresStore, seed: int, finish: Finish
) -> None:
    """Three threads, each a member for a while, then anew; folded events are handed over by commit or dropped."""
    chance, stop = random.Random(seed), threading.Event()

    def serve(number: int) -> None:
        mine = random.Random(f"{seed} {number}")
        while not stop.is_set():
            member = projector(log, store, commit_bytes=mine.choice((1, 10_000, 10**9)))
            until = time.monotonic() + mine.uniform(0.05, 0.4)
            while time.monotonic() < until and not stop.is_set():
                member.step(0.01)
            member.close() if mine.random() < 0.7 else _leave(member)

    store.install(StoreAvailability)
    with ThreadPoolExecutor(3) as pool:
        serving = [pool.submit(serve, number) for number in range(3)]
        events = [event for n in range(15) for event in _slowly(log, seed * 100 + n, chance)]
        stop.set()
        for done in serving:
            done.result(60)
    last = projector(log, store)
    finish(last, log)
    last.close()
    assert right(store, events)


def _slowly(log: EventLog, seed: int, chance: random.Random) -> list[Event]:
    time.sleep(chance.uniform(0, 0.05))
    return published(log, seed, 20, batch=7)


def _leave(member: Projector) -> None:
    """Go without committing what is folded, as a process that dies does."""
    member._drop()
    member._pending = projecting._Pending()
    member.close()


# --- killed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", ["postgres"], indirect=True)
def test_killed_twenty_times_ends_with_the_rows_of_an_undisturbed_run(
    log: EventLog, store: PostgresStore, postgres_url: str, killable: Path, finish: Finish
) -> None:
    events = published(log, 1, 4_000, batch=5)
    chance, cut_short = random.Random("kill"), 0
    command = [sys.executable, str(killable), postgres_url, "store_availability", "500"]
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.15))
            cut_short += process.poll() is None
            process.kill()
    done = sum(store.positions(StoreAvailability).values())
    assert cut_short >= 15, "the load was too small to be disturbed"
    assert done > 0
    last = projector(log, store)
    finish(last, log)
    last.close()
    assert right(store, events)


# --- the store goes away --------------------------------------------------------------------------------


@pytest.mark.parametrize("log", ["memory"], indirect=True)
def test_a_store_that_goes_away_is_waited_for(log: EventLog, store: PostgresStore, finish: Finish) -> None:
    events = published(log, 1, 100)
    one = projector(log, store)
    one.step(0.1)
    events += published(log, 2, 100)
    _cut_connections(store)
    with pytest.raises(StoreUnavailable):
        _step([one], 20)  # a commit beside one of them tells the next
    for _ in range(20):  # every pooled connection may be one of those that were cut
        try:
            finish(one, log)
            break
        except StoreUnavailable:
            continue
    assert right(store, events)
    one.close()


def test_a_commit_whose_answer_is_lost_counts_once(
    log: EventLog, store: PostgresStore, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = published(log, 1, 150)
    one, commit, lost = projector(log, store), Writer.commit, list[int]()

    def committed_and_cut(self: Writer, *given: object) -> None:
        commit(self, *given)  # type: ignore[arg-type]
        if not lost:
            lost.append(1)
            raise StoreUnavailable("the connection was lost before the answer came")

    monkeypatch.setattr(Writer, "commit", committed_and_cut)
    with pytest.raises(StoreUnavailable):
        finish(one, log)
    finish(one, log)
    assert lost
    assert right(store, events)
    one.close()


def _cut_connections(store: PostgresStore) -> None:
    connection: Connection = store.database.connect()
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    connection.close()


# --- positions that are gone ------------------------------------------------------------------------------


class ShortLog(MemoryLog):
    """A log that has forgotten the beginning of every partition."""

    first = 0

    def start_offset(self, origin: TopicPartition) -> int:
        return min(self.first, self.end_offset(origin))


@pytest.mark.parametrize("first", [10, 11])
def test_a_position_older_than_the_log_is_refused(store: PostgresStore, first: int) -> None:
    log = ShortLog()
    published(log, 1, 100)
    store.install(StoreAvailability)
    ends = {origin: min(10, end) for origin, end in ends_of(log).items()}
    writer = store.writer(StoreAvailability)
    writer.commit(Folded(), store.claim(StoreAvailability, ends), ends)
    writer.close()
    log.first = first
    one = projector(log, store)
    if first == 10:
        assert (one.step(0.1) + one.flush()).events > 0
    else:
        with pytest.raises(
            PositionOutOfRange, match=r"stands at offset 10 of \w+/\d.*11 and later: 1 events are missing"
        ):
            one.step(0)
    one.close()


def test_a_new_projection_on_a_log_without_its_beginning_is_refused(store: PostgresStore) -> None:
    log = ShortLog()
    published(log, 1, 100)
    log.first = 3
    one = projector(log, store)
    with pytest.raises(PositionOutOfRange, match=r"stands at offset 0 of .* 3 events are missing"):
        one.step(0)
    one.close()


def ends_of(log: EventLog) -> dict[TopicPartition, int]:
    return extent.ends(log, StoreAvailability.topics())


def test_claims_hand_on_positions(store: PostgresStore) -> None:
    origin = TopicPartition("stock", 0)
    store.install(StoreAvailability)
    assert store.claim(StoreAvailability, [origin]) == {origin: Claim(0, 1)}
    assert store.claim(StoreAvailability, [origin]) == {origin: Claim(0, 2)}
