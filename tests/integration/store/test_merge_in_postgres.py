"""Merging in PostgreSQL gives the rows of the oracle, as Polars does, also with two writers at once."""

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tillroll.log.port import Position, TopicPartition
from tillroll.projection.failures import Failure
from tillroll.projection.fold import Folded
from tillroll.projection.merge import reduce
from tillroll.store import copying, postgres
from tillroll.store.dead_letters import find
from tillroll.store.postgres import PostgresStore, bury
from tillroll.testing.merge_contract import (
    TABLE,
    Contribution,
    Everything,
    MergeContract,
    Rows,
    contributed,
    expected,
    history,
    splits,
)

EMPTY = "truncate everything_v1.everything, everything_v1.everything__stock__moves, everything_v1.everything__other_stock__moves"


@pytest.fixture(params=[(-1, 100), (-1, 1), (1 << 20, 1)], ids=["copied", "taken for new", "given"])
def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> Iterator[PostgresStore]:
    few, sample = request.param
    monkeypatch.setattr(postgres, "FEW_ROWS", few)
    monkeypatch.setattr(copying, "SAMPLE", sample)  # of one key: known ones are often met by COPY
    store = PostgresStore(postgres_url)
    store.install(Everything)
    yield store
    store.close()


class Committer:
    """Commits parts as a projector of one partition does."""

    def __init__(self, store: PostgresStore, partition: int = 0):
        self._origin = TopicPartition("stock", partition)
        self._store, self._writer = store, store.writer(Everything)
        self._claims = store.claim(Everything, [self._origin])

    def commit(self, part: Sequence[Contribution]) -> None:
        claim = self._claims[self._origin]
        end = claim.next_offset + 1
        folded = Folded({"everything": reduce(TABLE, [contributed(part)])})
        self._writer.commit(folded, self._claims, {self._origin: end})
        self._claims[self._origin] = type(claim)(end, claim.epoch)

    def close(self) -> None:
        self._writer.close()


def rows(store: PostgresStore) -> Rows:
    with store.connection() as connection:
        connection.execute("set time zone 'UTC'")
        cursor = connection.execute("select * from everything")
        names = [column.name for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row.pop("sku"), row.pop("place")): row for row in found}


def left_over_moves(store: PostgresStore) -> int:
    """Moves in the side table that their key's count supersedes: there must be none."""
    with store.connection() as connection:
        row = connection.execute(
            "select count(*) from everything_v1.everything__stock__moves m join everything_v1.everything t "
            "using (sku, place) where m.at <= t.stock__count_at"
        ).fetchone()
    return int(row[0])


class TestPostgres(MergeContract):
    histories = 12

    @pytest.fixture(autouse=True)
    def _given(self, store: PostgresStore) -> None:
        self.store = store

    def merged(self, parts: Sequence[Sequence[Contribution]]) -> Rows:
        """By a committer that has met no key yet."""
        with self.store.connection() as connection:
            connection.execute(EMPTY)
        committer = Committer(self.store)
        for part in parts:
            committer.commit(part)
        committer.close()
        assert left_over_moves(self.store) == 0
        return rows(self.store)


def test_two_writers_in_turn_give_the_rows_of_one(store: PostgresStore) -> None:
    writers = [Committer(store, n) for n in range(2)]
    chance = random.Random("in turn")
    all_ = history(chance, 200)
    for n, one in enumerate(all_):
        writers[n % 2].commit([one])
    assert rows(store) == expected(all_)
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("seed", range(4))
def test_writers_at_once_lose_no_update_and_never_lock_up(store: PostgresStore, seed: int) -> None:
    """Counts against moves of the same few keys, on three partitions, as fast as they can."""
    chance = random.Random(f"at once {seed}")
    all_ = history(chance, 600, keys=5)
    shares = [all_[n::3] for n in range(3)]
    start = threading.Barrier(3)

    def write(number: int) -> None:
        committer = Committer(store, number)
        mine = random.Random(number + seed)
        start.wait()
        for low in range(0, 200, 10):
            part = shares[number][low : low + 10]
            committer.commit(mine.sample(part, len(part)))
        committer.close()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(write, number) for number in range(3)]:
            done.result(timeout=120)
    assert rows(store) == expected(all_)
    assert left_over_moves(store) == 0


def test_a_commit_that_fails_half_way_leaves_nothing(store: PostgresStore) -> None:
    committer = Committer(store)
    chance = random.Random("fails")
    before = history(chance, 20)
    committer.commit(before)
    with store.connection() as connection:
        connection.execute("alter table everything_v1.everything__stock__moves add check (delta <> 5)")
    with pytest.raises(psycopg.errors.CheckViolation):
        committer.commit([one_with(stock=5, total=1, notes="x")])
    assert rows(store) == expected(before)
    after = one_with(stock=4, total=1)
    committer.commit([after])
    assert rows(store) == expected([*before, after])
    committer.close()


def test_a_retry_takes_the_position_before_the_rows_as_a_commit_does(
    store: PostgresStore, postgres_url: str
) -> None:
    """In another order it and a projector could wait for each other."""
    committer, writer = Committer(store), store.writer(Everything)
    before, again = one_with(total=1), replace(one_with(total=2), event_id="zzz")
    committer.commit([before])
    failed = Failure(Position("stock", 0, 7), "StockReceived", "1", "LookupError", "no", "")
    with store.connection() as connection:
        bury(connection, Everything.name, Everything.version, [failed])
    (letter,) = find(store)
    folded = Folded({"everything": reduce(TABLE, [contributed([again])])})
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select 1 from tillroll.positions for update")
        retried = pool.submit(writer.retry, folded, letter.id)
        with pytest.raises(TimeoutError):
            retried.result(0.3)
        other.execute("select 1 from everything_v1.everything for update nowait")
        other.rollback()
        assert retried.result(30)
    assert rows(store) == expected([before, again])
    for each in (committer, writer):
        each.close()


def one_with(**values: Any) -> Contribution:
    one = history(random.Random("one"), 1)[0]
    return Contribution(one.key, one.at, one.seq, "zz", 0, values)


def test_pieces_of_a_history_commit_as_the_whole(store: PostgresStore) -> None:
    committer = Committer(store)
    chance = random.Random("pieces")
    all_ = history(chance, 2_000, keys=5)
    for part in splits(chance, all_):
        committer.commit(part)
    assert rows(store) == expected(all_)
    committer.close()
