"""Rows of keys that a table does not know go straight into it; where one is known, nothing has happened."""

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import psycopg
import pytest

from tillroll.store.copying import SAMPLE, Newcomers

SIZE = 10 * SAMPLE


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Any]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "create table seen (name text not null, at timestamptz not null, n bigint, primary key (name, at))"
        )
        yield connection


def rows(first: int, last: int) -> pl.DataFrame:
    """Rows of the numbers `first` to `last`, sorted by key."""
    n = pl.int_range(first, last, eager=True)
    at = n.cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"name": n.cast(pl.String).str.zfill(6) + '"', "at": at, "n": n})


def take(newcomers: Newcomers, connection: Any, given: pl.DataFrame) -> bool:
    with connection.transaction():
        return newcomers.take(connection, "seen", given, ["name", "at"])


def seen(connection: Any) -> int:
    return int(connection.execute("select count(*) from seen").fetchone()[0])


def test_rows_of_new_keys_are_in_the_table(connection: Any) -> None:
    newcomers = Newcomers()
    assert take(newcomers, connection, rows(0, SIZE))
    assert take(newcomers, connection, rows(SIZE, 2 * SIZE))
    found = connection.execute("select name, at, n from seen order by 1, 2").fetchall()
    assert found == rows(0, 2 * SIZE).rows()


def test_where_the_sample_meets_a_known_key_nothing_is_copied_and_later_ones_may_be_new(
    connection: Any,
) -> None:
    newcomers = Newcomers()
    assert take(newcomers, connection, rows(0, SIZE))
    assert not take(newcomers, connection, rows(0, 2 * SIZE))
    assert seen(connection) == SIZE
    assert take(newcomers, connection, rows(SIZE, 2 * SIZE))


def test_a_known_key_that_no_sample_meets_leaves_the_table_as_it_was(connection: Any) -> None:
    connection.execute("insert into seen values (%s, %s, -1)", rows(SIZE - 1, SIZE).row(0)[:2])
    assert not take(Newcomers(), connection, rows(0, SIZE))
    assert seen(connection) == 1


def test_after_mistakes_a_table_is_tried_ever_more_seldom_until_it_goes_well(connection: Any) -> None:
    newcomers, new = Newcomers(), rows(SIZE, 2 * SIZE)
    connection.execute("insert into seen values (%s, %s, -1)", rows(SIZE - 1, SIZE).row(0)[:2])
    for passes in (1, 2, 4):
        assert not take(newcomers, connection, rows(0, SIZE))
        assert [take(newcomers, connection, new) for _ in range(passes)] == [False] * passes
    assert take(newcomers, connection, new)
    assert not take(newcomers, connection, rows(0, SIZE))
    assert [take(newcomers, connection, rows(2 * SIZE, 3 * SIZE)) for _ in range(2)] == [False, True]


def test_tables_are_told_apart(connection: Any) -> None:
    newcomers = Newcomers()
    connection.execute("create table other (like seen including all)")
    connection.execute("insert into seen values (%s, %s, -1)", rows(SIZE - 1, SIZE).row(0)[:2])
    assert not take(newcomers, connection, rows(0, SIZE))
    with connection.transaction():
        assert newcomers.take(connection, "other", rows(0, SIZE), ["name", "at"])


@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("date", pl.lit(date(2026, 2, 28)) + pl.duration(days=pl.col("n"))),
        ("bool", pl.col("n") % 2 == 0),
        ("double precision", pl.col("n") / 3),
        ("bigint", pl.col("n") - SIZE),
    ],
)
def test_known_keys_are_found_by_values_of_any_type(connection: Any, type_: str, key: pl.Expr) -> None:
    connection.execute(f"create table keyed (k {type_}, n bigint, primary key (k, n))")
    given = rows(0, SIZE).select(key.alias("k"), "n")
    with connection.transaction():
        assert Newcomers().take(connection, "keyed", given, ["k", "n"])
        assert not Newcomers().take(connection, "keyed", given, ["k", "n"])
        connection.execute("truncate keyed")
        assert Newcomers().take(connection, "keyed", given, ["k", "n"])


def test_columns_go_by_name(connection: Any) -> None:
    connection.execute("alter table seen add column note text default 'none'")
    assert take(Newcomers(), connection, rows(0, SIZE)[["n", "name", "at"]])
    found = connection.execute("select name, at, n, note from seen order by 1").fetchone()
    assert found == (*rows(0, 1).row(0), "none")


def test_what_else_the_transaction_did_stands(connection: Any) -> None:
    connection.execute("insert into seen values (%s, %s, -1)", rows(SIZE - 1, SIZE).row(0)[:2])
    with connection.transaction():
        connection.execute("insert into seen values ('before', now(), 0)")
        assert not Newcomers().take(connection, "seen", rows(0, SIZE), ["name", "at"])
        connection.execute("insert into seen values ('after', now(), 0)")
    assert seen(connection) == 3


def test_a_key_that_somebody_else_is_about_to_commit_is_waited_for(
    connection: Any, postgres_url: str
) -> None:
    answers: list[bool] = []
    with psycopg.connect(postgres_url) as other:
        other.execute("insert into seen values (%s, %s, -1)", rows(SIZE - 1, SIZE).row(0)[:2])
        meanwhile = threading.Thread(
            target=lambda: answers.append(take(Newcomers(), connection, rows(0, SIZE)))
        )
        meanwhile.start()
        meanwhile.join(0.3)
        assert meanwhile.is_alive()
        other.commit()
        meanwhile.join(30)
    assert answers == [False]
    assert seen(connection) == 1


def test_a_value_that_cannot_be_stored_is_told_as_such(connection: Any) -> None:
    newcomers = Newcomers()
    bad = rows(0, SIZE).with_columns(pl.lit("\x00").alias("name"))
    with pytest.raises(psycopg.DataError):
        take(newcomers, connection, bad)
    assert take(newcomers, connection, rows(0, SIZE))
