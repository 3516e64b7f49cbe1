"""Online Retail, imported and projected: the read models say what plain SQL over its files says."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from tests.acceptance.history.place import Place, fresh_database
from tests.acceptance.history.rows import Rows, assert_same_rows, assert_says

HERE = Path(__file__).parent
DATA = HERE.parents[2].parent / "shared" / "data" / "online-retail"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the Online Retail files are not beside the checkout"
)


@pytest.fixture(scope="module")
def shop(postgres_server: str) -> Iterator[Place]:
    """All files, imported and projected by the commands."""
    with fresh_database(postgres_server) as store:
        place = Place(store, store)
        place.tillroll("import", "online-retail", str(DATA))
        place.tillroll("project", "--once")
        yield place


@pytest.fixture(scope="module")
def shop_rows(shop: Place) -> Rows:
    return shop.rows()


def expected(query: Path) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE files = $files", {"files": sorted(map(str, DATA.glob("*.csv.gz")))})
        return pl.DataFrame(connection.execute(query.read_text()).to_arrow_table())


def test_the_sales_of_every_day(shop: Place) -> None:
    """As `tillroll query` gives them, all columns."""
    found = pl.DataFrame(json.loads(shop.tillroll("query", "channel_sales", "--json").stdout))
    sales = expected(HERE.parent / "expected_online_retail_channel_sales.sql")
    assert found.columns == sales.columns
    assert len(sales) > 200
    assert_says("channel_sales", found, sales)


def test_the_units_of_every_order(shop_rows: Rows) -> None:
    lines = shop_rows["order_status_lines"]
    units = pl.col("ordered", "sourced", "shipped", "returned", "cancelled").cast(pl.Int64).sum()
    found = lines.group_by("order_id").agg(
        pl.len().alias("lines"), pl.col("sku").n_unique().alias("skus"), units
    )
    wanted = expected(HERE / "expected_online_retail_orders.sql").with_columns(
        sourced="ordered", shipped="ordered", returned=0, cancelled=0
    )
    assert_says("order_status_lines", found, wanted)
    assert set(lines["status"]) == {"shipped"}


def test_the_stock_of_every_sku(shop_rows: Rows) -> None:
    found = shop_rows["store_availability"].select("sku", "location_id", "on_hand", "reserved", "in_transit")
    wanted = expected(HERE / "expected_online_retail_stock.sql").with_columns(reserved=0, in_transit=0)
    assert_says(
        "store_availability", found, wanted.select("sku", pl.lit("").alias("location_id"), pl.exclude("sku"))
    )


@pytest.mark.kafka
def test_the_same_commands_give_the_same_rows_on_kafka(on_kafka: Place, shop_rows: Rows) -> None:
    on_kafka.tillroll("import", "online-retail", str(DATA))
    on_kafka.tillroll("project", "--once")
    assert_same_rows(on_kafka.rows(), shop_rows)
