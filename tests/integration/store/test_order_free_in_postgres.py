"""Every projection gives the same rows in PostgreSQL as in Polars, whatever the order its events arrive in."""

from collections.abc import Iterator

import pytest

from tillroll.events import EVENTS, StockReceived
from tillroll.projection import Frame, Key, Latest, Projection, on
from tillroll.projection.registry import load_projections
from tillroll.store.postgres import PostgresStore
from tillroll.testing.order_free import assert_order_free, rows_after, rows_in_store

PROJECTIONS = load_projections()


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_every_projection_gives_the_rows_that_polars_gives(name: str, store: PostgresStore) -> None:
    assert_order_free(PROJECTIONS[name], seeds=range(2), ways=3, store=store)


class Drifting(Projection):
    """What the store is told to make of it differs from what Polars makes of it."""

    sku: Key[str]
    quantity: Latest[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """The newest."""
        return events.select("sku", "quantity")


def test_a_store_that_merges_otherwise_is_caught(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tillroll.store import sql

    monkeypatch.setattr(
        sql, "_by_order", lambda names, column, compare, extreme: '"quantity" = excluded."quantity"'
    )
    with pytest.raises(AssertionError, match="the rows depend on how the events arrive") as raised:
        assert_order_free(Drifting, store=store)
    code = str(raised.value).partition("as a test:\n\n")[2]
    assert "rows_in_store(Drifting, " in code
    scope: dict[str, object] = {**EVENTS, "Drifting": Drifting, "PostgresStore": PostgresStore}
    exec(code, scope | {"rows_after": rows_after, "rows_in_store": rows_in_store})
