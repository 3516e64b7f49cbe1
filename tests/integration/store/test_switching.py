"""Readers' views move from one version to another in one transaction, and readers notice nothing but new rows."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from tests.integration.store.test_comparing import NewShelf, Shelf

from tillroll.database import Connection
from tillroll.errors import TillrollError
from tillroll.store import sql
from tillroll.store.postgres import PostgresStore
from tillroll.store.switching import switch


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    with store.connection() as connection:
        for projection, units in ((Shelf, 1), (NewShelf, 2)):
            connection.execute(sql.create(projection).encode())
            connection.execute(
                f"insert into {projection.schema()}.shelf (sku, units) select n::text, {units} "
                "from generate_series(1, 200) n".encode()
            )
        connection.execute(sql.views(Shelf).encode())
    yield store
    store.close()


def nothing(connection: Connection) -> None:
    pass


def units(store: PostgresStore) -> list[int]:
    with store.connection() as connection:
        return [row[0] for row in connection.execute("select distinct units from shelf").fetchall()]


def test_views_show_the_other_version_and_back(store: PostgresStore) -> None:
    switch(store, Shelf, NewShelf, nothing)
    assert units(store) == [2]
    switch(store, NewShelf, Shelf, nothing)
    assert units(store) == [1]


def test_what_goes_along_is_undone_with_the_switch(store: PostgresStore) -> None:
    def also(connection: Connection) -> None:
        connection.execute("create table along ()")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        switch(store, Shelf, NewShelf, also)
    assert units(store) == [1]
    with store.connection() as connection:
        assert connection.execute("select to_regclass('along')").fetchone() == (None,)


@contextmanager
def roles(store: PostgresStore, *names: str) -> Iterator[Connection]:
    """Roles that are there meanwhile, and a connection to grant them something."""
    listed = ", ".join(names)
    with store.connection() as connection:
        for name in names:
            connection.execute(f"create role {name}".encode())
    try:
        with store.database.connect() as connection:
            yield connection
    finally:
        with store.connection() as connection:
            connection.execute(f"reassign owned by {listed} to current_user".encode())
            connection.execute(f"drop owned by {listed} cascade; drop role {listed}".encode())


def may_read_the_tables(connection: Connection, role: str) -> None:
    connection.execute(
        f"grant usage on schema shelf_v1 to {role}; grant select on all tables in schema shelf_v1 to {role}".encode()
    )


def units_as(store: PostgresStore, role: str) -> list[int]:
    with store.connection() as connection:
        connection.execute(f"set local role {role}".encode())
        return [row[0] for row in connection.execute("select distinct units from shelf").fetchall()]


def test_grants_and_comments_go_over(store: PostgresStore) -> None:
    with roles(store, "shelf_reader", "shelf_peeker") as connection:
        connection.execute("grant select on shelf to shelf_reader with grant option")
        connection.execute("grant select (units, old_name) on shelf to shelf_peeker")
        connection.execute("comment on view shelf is 'what stands where'")
        switch(store, Shelf, NewShelf, nothing)
        row = connection.execute(
            "select has_table_privilege('shelf_reader', 'shelf', 'select with grant option'), "
            "has_column_privilege('shelf_peeker', 'shelf', 'units', 'select'), "
            "has_column_privilege('shelf_peeker', 'shelf', 'sku', 'select'), obj_description('shelf'::regclass)"
        ).fetchone()
        assert row == (True, True, False, "what stands where")


def test_options_and_comments_of_columns_go_over(store: PostgresStore) -> None:
    with store.connection() as connection:
        connection.execute("alter view shelf set (security_barrier = true)")
        connection.execute("comment on column shelf.units is 'of them'")
        connection.execute("comment on column shelf.old_name is 'gone'")
    switch(store, Shelf, NewShelf, nothing)
    with store.connection() as connection:
        options = connection.execute("select reloptions from pg_class where oid = 'shelf'::regclass")
        assert options.fetchone() == (["security_barrier=true"],)
        told = connection.execute(
            "select a.attname, d.description from pg_description d join pg_attribute a on a.attrelid = d.objoid "
            "and a.attnum = d.objsubid where d.objoid = 'shelf'::regclass"
        )
        assert told.fetchall() == [("units", "of them")]


def test_a_view_of_another_owner_is_still_read(store: PostgresStore) -> None:
    with roles(store, "shelf_reader", "shelf_owner") as connection:
        may_read_the_tables(connection, "shelf_owner")
        connection.execute("grant select on shelf to shelf_reader; alter view shelf owner to shelf_owner")
        switch(store, Shelf, NewShelf, nothing)
        assert units_as(store, "shelf_reader") == [2]


def test_a_view_that_reads_by_the_rights_of_whoever_asks_is_still_read(store: PostgresStore) -> None:
    with roles(store, "shelf_reader") as connection:
        may_read_the_tables(connection, "shelf_reader")
        connection.execute(
            "grant select on shelf to shelf_reader; alter view shelf set (security_invoker = true)"
        )
        switch(store, Shelf, NewShelf, nothing)
        assert units_as(store, "shelf_reader") == [2]


def test_a_view_of_somebody_else_is_not_lost(store: PostgresStore) -> None:
    with store.connection() as connection:
        connection.execute("create view theirs as select sku from shelf")
    with pytest.raises(TillrollError, match="theirs"):
        switch(store, Shelf, NewShelf, nothing)
    assert units(store) == [1]


def test_readers_who_never_make_room_are_named(store: PostgresStore) -> None:
    with psycopg.connect(store.database.conninfo) as reader:
        reader.execute("select * from shelf limit 1")  # its transaction stays open
        with pytest.raises(TillrollError, match=f"made no room.*process {reader.info.backend_pid}"):
            switch(store, Shelf, NewShelf, nothing, patience=0.2)
    assert units(store) == [1]


def test_open_transactions_finish_on_the_old_rows_and_the_switch_waits(store: PostgresStore) -> None:
    with ThreadPoolExecutor() as pool, psycopg.connect(store.database.conninfo) as reader:
        reader.execute("select * from shelf limit 1")
        switched = pool.submit(switch, store, Shelf, NewShelf, nothing)
        time.sleep(0.3)
        assert reader.execute("select distinct units from shelf").fetchone() == (1,)
        reader.commit()
        assert switched.result(timeout=30) > 1
    assert units(store) == [2]


def test_hammering_readers_see_one_version_or_the_other_whole(store: PostgresStore) -> None:
    stop = threading.Event()

    def hammer() -> set[tuple[int, int]]:
        seen = set()
        with psycopg.connect(store.database.conninfo, autocommit=True) as reader:
            while not stop.is_set():
                row = reader.execute("select count(*), min(units), max(units) from shelf").fetchone()
                assert row is not None
                assert row[0] == 200
                seen.add((row[1], row[2]))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(hammer) for _ in range(4)]
        for old, new in [(Shelf, NewShelf), (NewShelf, Shelf)] * 5:
            switch(store, old, new, nothing)
        stop.set()
        seen = set().union(*(reader.result() for reader in readers))
    assert seen == {(1, 1), (2, 2)}
