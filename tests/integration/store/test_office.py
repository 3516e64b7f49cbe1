"""The office of who rebuilds or compares a projection: one at a time, and free as soon as it is left."""

from collections.abc import Iterator

import pytest

from tillroll.errors import UsageError
from tillroll.store.locks import OFFICE_LOCK, office
from tillroll.store.postgres import PostgresStore


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


def test_one_at_a_time_holds_it(store: PostgresStore) -> None:
    with office(store, "stock"):
        with pytest.raises(UsageError, match="another process rebuilds or compares stock at this moment"):
            office(store, "stock").__enter__()
        with office(store, "sales"):
            pass


def test_it_is_free_on_return(store: PostgresStore) -> None:
    """Two hundred times: a server lets go of what an ended connection held whenever it comes to it."""
    with store.connection() as watching:
        for _ in range(200):
            with office(store, "stock"):
                pass
            held = watching.execute(
                "select count(*) from pg_locks where classid = %s", [OFFICE_LOCK]
            ).fetchone()
            assert held == (0,)
