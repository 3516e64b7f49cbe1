"""The demo's shoe: every pair is somewhere, once, at every step of the story."""

from collections.abc import Iterator

import pytest

from tillroll.contract.registry import load_contract
from tillroll.errors import TillrollError
from tillroll.log.memory import MemoryLog
from tillroll.projections.order_status import OrderStatus
from tillroll.projections.reference import Locations
from tillroll.projections.store_availability import StoreAvailability
from tillroll.publisher import Publisher
from tillroll.services.demo import Said, Shown, events
from tillroll.services.demo.shoe import story_of_the_shoe
from tillroll.services.histories import tpcds
from tillroll.store.postgres import PostgresStore

CONTRACT = load_contract()
Stock = dict[str, tuple[int, int, int]]


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    log = MemoryLog()
    log.create_topics(CONTRACT.topics.values())
    for record, frame in tpcds.demo_stores():
        Publisher(log, CONTRACT).publish_frame(record, frame)
    yield log
    log.close()


def told(log: MemoryLog, store: PostgresStore) -> list[Said | Shown]:
    models = [Locations, StoreAvailability, OrderStatus]
    return list(story_of_the_shoe(Publisher(log, CONTRACT), log, store, CONTRACT, models))


def tables(story: list[Said | Shown]) -> dict[str, Stock]:
    """What each table says of the shoe, by title: on hand, reserved, to sell at each store."""
    shown = [part for part in story if isinstance(part, Shown) and "on_hand" in part.columns]
    return {
        part.title.removeprefix("the shoe, "): {row[0]: tuple(row[1:]) for row in part.rows} for part in shown
    }


def test_the_very_pair_that_comes_back_was_set_aside_and_collected_before(
    log: MemoryLog, store: PostgresStore
) -> None:
    nashville = {"Nashville": (2, 0, 2)}
    assert tables(told(log, store)) == {
        "in every store": {"Brentwood": (1, 0, 1), **nashville},
        "set aside": {"Brentwood": (1, 1, 0), **nashville},
        "waiting for its buyer": {"Brentwood": (1, 1, 0), **nashville},
        "collected": {"Brentwood": (0, 0, 0), **nashville},
        "brought back": {"Brentwood": (0, 0, 0), "Murfreesboro": (1, 0, 1), **nashville},
    }


def test_the_order_ends_as_returned(log: MemoryLog, store: PostgresStore) -> None:
    (order,) = [part for part in told(log, store) if isinstance(part, Shown) and "status" in part.columns]
    (row,) = order.rows
    assert dict(zip(order.columns, row, strict=True)) == {
        "order_id": events.ORDER, "sku": events.SHOE,
        "ordered": 1, "ready": 1, "collected": 1, "returned": 1, "status": "returned",
    }  # fmt: skip


def test_every_table_follows_a_sentence_that_says_what_happened(log: MemoryLog, store: PostgresStore) -> None:
    story = told(log, store)
    last = next(n for n in range(len(story) - 1, -1, -1) if isinstance(story[n], Said))
    before = [story[n - 1] for n in range(1, last + 2) if isinstance(story[n], Shown)]
    assert sum(isinstance(part, Said) for part in before) >= 5


def test_told_again_it_ends_where_it_ended_and_says_so(log: MemoryLog, store: PostgresStore) -> None:
    first, again = told(log, store), told(log, store)
    assert tables(again)["in every store"] == tables(again)["brought back"] == tables(first)["brought back"]
    assert [
        any(isinstance(p, Said) and "told in this log before" in p.text for p in t) for t in (first, again)
    ] == [
        False,
        True,
    ]


def test_a_log_with_another_version_of_the_story_is_told_in_one_line(
    log: MemoryLog, store: PostgresStore
) -> None:
    other = events.reserved().model_copy(update={"quantity": 7})
    Publisher(log, CONTRACT).publish([other])
    with pytest.raises(
        TillrollError, match=r"another\s+version of the demo; name a new directory with --data"
    ):
        told(log, store)
