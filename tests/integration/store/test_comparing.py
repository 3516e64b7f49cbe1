"""Two versions are compared row by row in PostgreSQL, at the instant of the live one's copy."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

import pytest

from tillroll.events import StockReceived
from tillroll.log.port import TopicPartition
from tillroll.projection import Deltas, Derived, Frame, Key, Latest, Projection, Sum, Table, derived, on
from tillroll.store import sql
from tillroll.store.comparing import Changed, TableDifference, live_copy
from tillroll.store.postgres import PostgresStore


class Shelf(Projection):
    """The live version."""

    sku: Key[str]
    units: Sum[int]
    place: Latest[str]
    old_name: Sum[int]
    twice: Derived[int] = derived("units * 2")

    @on(StockReceived)
    def received(self, events: Frame) -> Deltas:
        """Units."""
        return events.select("sku", units="quantity")


class NewShelf(Projection):
    """The candidate: a column more, a column less."""

    name: ClassVar[str] = "shelf"
    version: ClassVar[int] = 2

    sku: Key[str]
    units: Sum[int]
    place: Latest[str]
    new_name: Sum[int]
    twice: Derived[int] = derived("units * 2")

    received = Shelf.received


class OtherKey(Projection):
    """Keyed differently."""

    name: ClassVar[str] = "shelf"
    version: ClassVar[int] = 3

    place: Key[str]
    units: Sum[int]

    received = Shelf.received


class Days(Projection):
    """Keyed by what is no text."""

    at: Key[datetime]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Deltas:
        """Units."""
        return events.select(at="occurred_at", units="quantity")


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    with store.connection() as connection:
        for projection in (Shelf, NewShelf, OtherKey, Days, Days.numbered(2)):
            connection.execute(sql.create(projection).encode())
    yield store
    store.close()


def fill(store: PostgresStore, projection: type[Projection], *rows: tuple[str, int, str | None]) -> None:
    with store.connection() as connection:
        for sku, units, place in rows:
            connection.execute(
                f'insert into {projection.schema()}.shelf (sku, units, "place") values (%s, %s, %s)'.encode(),
                [sku, units, place],
            )


def difference(store: PostgresStore, candidate: type[Projection]) -> TableDifference:
    with live_copy(store, Shelf) as copy:
        (found,) = copy.differences(candidate)
    return found


def test_equal_rows_are_the_same(store: PostgresStore) -> None:
    for version in (Shelf, NewShelf):
        fill(store, version, ("a", 1, None), ("b", 2, "x"))
    found = difference(store, NewShelf)
    assert found.same
    assert (found.live_rows, found.candidate_rows, found.columns) == (2, 2, {})
    assert (found.only_live, found.only_candidate) == (("old_name",), ("new_name",))


def test_rows_added_removed_and_changed_are_counted_per_column(store: PostgresStore) -> None:
    fill(store, Shelf, ("a", 1, None), ("b", 2, "x"), ("c", 3, "x"), ("gone", 4, None))
    fill(store, NewShelf, ("a", 1, "now"), ("b", 5, "y"), ("c", 3, "x"), ("new", 4, None))
    found = difference(store, NewShelf)
    assert (found.added, found.removed, found.changed) == (1, 1, 2)
    assert found.columns == {"units": 1, "twice": 1, "place": 2}
    assert not found.same


def test_rows_that_differ_are_told_with_old_and_new(store: PostgresStore) -> None:
    fill(store, Shelf, ("b", 2, "x"), ("gone", 4, None))
    fill(store, NewShelf, ("b", 5, "x"), ("new", 4, None))
    with live_copy(store, Shelf) as copy:
        rows = list(copy.changed(NewShelf, "shelf"))
        first = list(copy.changed(NewShelf, "shelf", limit=1))
    assert rows == [
        Changed(
            {"sku": "b"},
            {"units": 2, "place": "x", "twice": 4, "old_name": 0},
            {"units": 5, "place": "x", "twice": 10, "new_name": 0},
        ),
        Changed({"sku": "gone"}, {"units": 4, "place": None, "twice": 8, "old_name": 0}, None),
        Changed({"sku": "new"}, None, {"units": 4, "place": None, "twice": 8, "new_name": 0}),
    ]
    assert first == rows[:1]


def test_another_key_cannot_be_compared_and_says_so(store: PostgresStore) -> None:
    fill(store, Shelf, ("a", 1, None))
    found = difference(store, OtherKey)
    assert not found.comparable
    assert not found.same
    assert (found.live_rows, found.candidate_rows, found.changed) == (1, 0, None)


class Two(Projection):
    """A table more than the live version."""

    name: ClassVar[str] = "shelf"
    version: ClassVar[int] = 4

    class Shelf(Table):
        """As it was."""

        view = ""
        sku: Key[str]
        units: Sum[int]

    class Places(Table):
        """New."""

        place: Key[str]
        units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Deltas:
        """Units."""
        return {self.Shelf: events.select("sku", units="quantity")}


def test_the_rows_of_a_table_that_one_version_lacks_are_told(store: PostgresStore) -> None:
    with store.connection() as connection:
        connection.execute(sql.create(Two).encode())
        connection.execute("insert into shelf_v4.places values ('x', 3)")
    with live_copy(store, Shelf) as copy:
        found = {each.table: each for each in copy.differences(Two)}
        rows = list(copy.changed(Two, "places"))
    places = found["places"]
    assert (places.live_rows, places.candidate_rows, places.added, places.same) == (0, 1, 1, False)
    assert rows == [Changed({"place": "x"}, None, {"units": 3})]


def test_what_is_stored_beside_what_readers_see_is_compared_too(store: PostgresStore) -> None:
    twin = Shelf.numbered(9)
    with store.connection() as connection:
        connection.execute(sql.create(twin).encode())
        for version in (Shelf, twin):
            row = f"insert into {version.schema()}.shelf (sku, units, place, place__order) values ('a', 1, 'x', %s)"
            connection.execute(row.encode(), ["1" if version is Shelf else "2"])
    with live_copy(store, Shelf, stored=True) as copy:
        (seen,) = copy.differences(twin)
        assert seen.same
        assert copy.stored_differences(twin) == {"shelf": 1}
        with store.connection() as connection:
            connection.execute("update shelf_v9.shelf set place__order = '1'")
        assert copy.stored_differences(twin) == {}


def test_the_copy_holds_rows_and_positions_of_one_instant(store: PostgresStore) -> None:
    fill(store, Shelf, ("a", 1, None))
    origin = TopicPartition("stock", 0)
    store.claim(Shelf, [origin])
    with live_copy(store, Shelf) as copy:
        fill(store, Shelf, ("later", 9, None))
        with store.connection() as connection:
            connection.execute("update tillroll.positions set next_offset = 7")
        (found,) = copy.differences(NewShelf)
    assert copy.positions == {origin: 0}
    assert (found.live_rows, found.removed) == (1, 1)


def test_of_some_keys_only_their_live_rows_are_compared_however_they_are_written(
    store: PostgresStore,
) -> None:
    with store.connection() as connection:
        connection.execute(
            "insert into days_v1.days values ('2026-03-14 09:00Z', 1), ('2026-03-15 09:00Z', 2)"
        )
        connection.execute("insert into days_v2.days values ('2026-03-15 09:00Z', 2)")
    with live_copy(store, Days, {"at": "2026-03-15T10:00:00+01:00"}) as copy:
        (found,) = copy.differences(Days.numbered(2))
    assert (found.same, found.live_rows, found.candidate_rows) == (True, 1, 1)
