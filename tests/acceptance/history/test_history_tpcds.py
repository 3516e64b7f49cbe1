"""TPC-DS, imported and projected: the read models say what plain SQL over its tables says."""

import json
from pathlib import Path

import polars as pl
import pytest
from tests.acceptance.history.conftest import NewStore
from tests.acceptance.history.place import Place
from tests.acceptance.history.rows import Rows, assert_same_rows, assert_says

from tillroll.services.histories import tpcds
from tillroll.services.histories.tables import generated

EXPECTED = Path(__file__).parents[1] / "expected_tpcds_channel_sales.sql"


def test_the_commands_give_the_sales_of_the_tables(imported: Place) -> None:
    """Every column, per day, channel, place and currency."""
    found = pl.DataFrame(json.loads(imported.tillroll("query", "channel_sales", "--json").stdout))
    with generated(0.01) as tables:
        expected = tables.query(EXPECTED.read_text())
    assert found.columns == expected.columns
    assert len(expected) > 1_000
    assert_says("channel_sales", found, expected)


def test_importing_again_adds_nothing(imported: Place, retailer_rows: Rows) -> None:
    done = json.loads(imported.tillroll("import", "tpcds", "--json").stdout)
    told = {name: done[name] for name in ("published", "duplicates", "conflicts")}
    assert told == {"published": 0, "duplicates": sum(done["events"].values()), "conflicts": 0}
    imported.tillroll("project", "--once")
    assert_same_rows(imported.rows(), retailer_rows)


@pytest.mark.kafka
def test_the_same_commands_give_the_same_rows_on_kafka(on_kafka: Place, retailer_rows: Rows) -> None:
    on_kafka.tillroll("import", "tpcds", "--scale", "0.01")
    on_kafka.tillroll("project", "--once")
    assert_same_rows(on_kafka.rows(), retailer_rows)


def test_sales_at_twice_the_scale(new_store: NewStore) -> None:
    store = new_store()
    place = Place(store, store)
    with generated(0.02) as tables:
        place.publish(tpcds.history_of(tables).frames())
        place.project()
        expected = tables.query(EXPECTED.read_text())
    assert len(expected) > 1_000
    assert_says("channel_sales", place.rows()["channel_sales"], expected)
