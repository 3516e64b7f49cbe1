"""What a declaration gets wrong and only PostgreSQL knows is refused when it is installed, and nothing is made."""

from collections.abc import Iterator

import pytest

from tillroll.errors import DeclarationError
from tillroll.events import StockReceived
from tillroll.projection import Derived, Frame, Key, Projection, Sum, derived, on
from tillroll.store.postgres import PostgresStore


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("sku - 1", "operator does not exist: text - integer"),
        ("sum(units)", 'column "columns.sku" must'),
        ("units as many", 'syntax error at or near "as"'),
        ("units / 0 + 1 / 0", "division by zero"),
    ],
)
def test_a_derived_column_that_postgres_cannot_evaluate_is_refused_by_name(
    store: PostgresStore, sql: str, reason: str
) -> None:
    class Shelf(Projection):
        sku: Key[str]
        units: Sum[int]
        wrong: Derived[int] = derived(sql)

        @on(StockReceived)
        def received(self, events: Frame) -> Frame:
            return events.select("sku", units="quantity")

    with pytest.raises(DeclarationError) as refused:
        store.install(Shelf)
    told = str(refused.value)
    assert told.startswith(
        f"projection shelf, table shelf: the derived column wrong = {sql!r} cannot be evaluated: "
    )
    assert reason in told
    assert store.declared("shelf", 1) is None
    with store.connection() as connection:
        assert connection.execute("select to_regnamespace('shelf_v1')").fetchone() == (None,)
