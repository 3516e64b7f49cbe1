"""A store that an earlier version of tillroll made is brought up to date when it is opened."""

import pytest

from tillroll.log.port import TopicPartition
from tillroll.projection.fold import Folded
from tillroll.projections.channel_sales import ChannelSales
from tillroll.store.postgres import PostgresStore

ORIGIN = TopicPartition("orders", 0)


@pytest.fixture
def older(postgres_url: str) -> str:
    """The address of a store of version 2, whose one position does not know how many events were applied."""
    store = PostgresStore(postgres_url)
    store.install(ChannelSales)
    store.claim(ChannelSales, [ORIGIN])
    with store.connection() as connection:
        connection.execute("alter table tillroll.positions drop column applied")
        connection.execute("alter table tillroll.projections drop column start")
        connection.execute("update tillroll.store set version = 2")
    store.close()
    return postgres_url


def test_what_was_not_counted_stays_unknown_and_what_comes_is_counted(older: str) -> None:
    for _ in range(2):
        store = PostgresStore(older)
        claims = store.claim(ChannelSales, [ORIGIN, TopicPartition("orders", 1)])
        writer = store.writer(ChannelSales)
        ends = {origin: claim.next_offset + 5 for origin, claim in claims.items()}
        writer.commit(Folded(), claims, ends, dict.fromkeys(ends, 5))
        writer.close()
        applied = store.applied(ChannelSales)
        store.close()
    assert applied == {ORIGIN: None, TopicPartition("orders", 1): 10}
