"""Dead letters in the store: whatever they say can be kept, chosen and forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tillroll.errors import UsageError
from tillroll.log.port import Position
from tillroll.projection.failures import Failure
from tillroll.store.dead_letters import discard, find
from tillroll.store.postgres import PostgresStore, bury


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


def failure(offset: int, **changes: Any) -> Failure:
    told = Failure(Position("stock", 0, offset), "StockReceived", "1", "LookupError", "no hats here", "")
    return replace(told, **changes)


def test_a_nul_anywhere_is_written_out_since_the_store_holds_none(store: PostgresStore) -> None:
    with store.connection() as connection:
        bury(connection, "picky", 1, [failure(7, event_id="a\0b", message="c\0d")])
    (letter,) = find(store)
    assert (letter.event_id, letter.message) == ("a\\x00b", "c\\x00d")


def test_conditions_of_one_field_are_alternatives_and_of_several_hold_together(store: PostgresStore) -> None:
    with store.connection() as connection:
        bury(connection, "picky", 1, [failure(1), failure(2, error="KeyError"), failure(3, record="x")])
        bury(connection, "fussy", 1, [failure(1, message="100 %s")])

    def offsets(*where: tuple[str, str], projection: str | None = None) -> list[int]:
        return [letter.position.offset for letter in find(store, projection, where=where)]

    assert offsets(("error", "LookupError"), ("reason", "KeyError")) == [1, 2, 3, 1]
    assert offsets(("error", "LookupError"), ("projection", "picky")) == [1, 3]
    assert offsets(("record", "StockReceived"), projection="picky") == [1, 2]
    assert offsets(("message", "%s")) == [1]
    assert offsets(("topic", "orders")) == []
    with pytest.raises(UsageError, match="dead letters have no 'id; drop'"):
        offsets(("id; drop", "1"))


def test_what_is_discarded_is_gone_and_told_once(store: PostgresStore) -> None:
    with store.connection() as connection:
        bury(connection, "picky", 1, [failure(1), failure(2)])
    first, second = (letter.id for letter in find(store))
    assert discard(store, [first, first, 10**9]) == [first]
    assert [letter.id for letter in find(store)] == [second]
