"""What a rebuild would take is told without leaving a trace, at any moment, and what is unknown is not zero."""

from tests.integration.replay.conftest import CONTRACT, Scene

from tillroll.projection.fold import Folded
from tillroll.projections.store_availability import StoreAvailability
from tillroll.services.replay.estimate import estimate
from tillroll.services.replay.rebuild import Limits
from tillroll.store.postgres import PostgresStore, Writer


def schemas(store: PostgresStore) -> list[str]:
    with store.connection() as connection:
        rows = connection.execute("select nspname from pg_namespace where nspname ~ '_v[0-9]+$'").fetchall()
    return [row[0] for row in rows]


def test_a_sample_is_seen_by_nobody_and_leaves_nothing(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 500, batch=100)
    scene.project()
    seen: list[list[str]] = []
    with scene.opened() as (log, store):

        class Watched(Writer):
            def _merge(self, folded: Folded) -> None:
                super()._merge(folded)
                seen.append(schemas(store))

        store.writer = lambda projection: Watched(store.database, projection)  # type: ignore[method-assign]
        found = estimate(log, store, StoreAvailability, Limits(), None)
    assert seen == [["store_availability_v1"]]
    assert sum(found.events.values()) == 500
    assert found.sampled > 0
    assert found.rate is not None
    assert (found.bytes or 0) > 0


def test_disk_is_unknown_where_no_version_is_there(postgres_scene: Scene) -> None:
    scene = postgres_scene
    with scene.opened() as (log, store):
        log.create_topics(CONTRACT.topics.values())
        found = estimate(log, store, StoreAvailability, Limits(), None)
        assert schemas(store) == []
    assert (found.sampled, found.rate, found.seconds, found.bytes) == (0, None, None, None)
