"""TPC-DS, imported and projected: the read models say what plain SQL over its tables says (issue 3, done when 2)."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.acceptance.history.conftest import Frames, NewStore
from tests.acceptance.history.place import Place
from tests.acceptance.history.rows import Rows, assert_same_rows, assert_says

from tillroll.services.histories import tpcds
from tillroll.services.histories.tables import Tables, generated

EXPECTED = Path(__file__).parents[1] / "expected_tpcds_channel_sales.sql"


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with generated(0.01) as made:
        yield made


def test_the_commands_give_the_sales_of_the_tables(place: Place, tables: Tables, retailer_rows: Rows) -> None:
    """Every column, per day, channel, place and currency; and the same rows of every model on every log."""
    done = json.loads(place.tillroll("import", "tpcds", "--scale", "0.01", "--json").stdout)
    assert done["published"] == sum(done["events"].values()) > 60_000
    place.tillroll("project", "--once")
    found = pl.DataFrame(json.loads(place.tillroll("query", "channel_sales", "--json").stdout))
    expected = tables.query(EXPECTED.read_text())
    assert found.columns == expected.columns
    assert_says("channel_sales", found, expected)
    assert_same_rows(place.rows(), retailer_rows)


def test_sales_at_twice_the_scale(new_store: NewStore) -> None:
    store = new_store()
    place = Place(store, store)
    with generated(0.02) as tables:
        place.publish(tpcds.history_of(tables).frames())
        place.project()
        expected = tables.query(EXPECTED.read_text())
    assert len(expected) > 1_000
    assert_says("channel_sales", place.rows()["channel_sales"], expected)


def test_importing_again_adds_nothing(new_store: NewStore, retailer: Frames) -> None:
    store = new_store()
    place = Place(store, store)
    place.publish(retailer)
    done = json.loads(place.tillroll("import", "tpcds", "--json").stdout)
    assert (done["published"], done["duplicates"], done["conflicts"]) == (0, sum(done["events"].values()), 0)
