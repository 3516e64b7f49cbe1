"""The events of TPC-DS say what plain SQL over its tables says."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract
from tillroll.contract.wire import decode, encode
from tillroll.events import EVENTS
from tillroll.services.histories import tpcds
from tillroll.services.histories.tables import Tables, generated

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "histories.md"
EVERY_RECORD = [
    "LineSourced", "LocationDescribed", "OrderPlaced", "ParcelShipped", "ProductDescribed", "RefundIssued",
    "ReturnDispositioned", "ReturnReceived", "StockCounted",
]  # fmt: skip


@pytest.fixture(scope="module", params=[0.01, 0.02])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    with generated(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def events(tables: Tables) -> dict[str, pl.DataFrame]:
    return _collected(tables)


def _collected(tables: Tables, chunk: int = 50_000) -> dict[str, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for record, frame in tpcds.history_of(tables, chunk=chunk).frames():
        frames.setdefault(record, []).append(frame)
    return {record: pl.concat(parts) for record, parts in frames.items()}


def _folded(events: dict[str, pl.DataFrame]) -> pl.DataFrame:
    with duckdb.connect() as connection:
        for record in ("OrderPlaced", "ReturnReceived", "RefundIssued"):
            connection.register(record, events[record].to_arrow())
        query = (HERE / "channel_sales_of_events.sql").read_text()
        return pl.DataFrame(connection.execute(query).to_arrow_table())


def test_channel_sales_of_the_events_equal_those_of_the_tables(
    tables: Tables, events: dict[str, pl.DataFrame]
) -> None:
    expected = tables.query((HERE / "expected_tpcds_channel_sales.sql").read_text())
    assert expected["orders"].sum() > 0
    assert_frame_equal(_folded(events), expected)


def test_every_ordered_unit_of_a_warehouse_is_sourced(
    tables: Tables, events: dict[str, pl.DataFrame]
) -> None:
    expected = tables.query(
        "SELECT sum(q)::BIGINT AS q, count(*) AS lines FROM (SELECT cs_quantity AS q FROM catalog_sales "
        "UNION ALL SELECT ws_quantity FROM web_sales)"
    ).row(0)
    lines = events["LineSourced"]["lines"].explode().struct.unnest()
    assert (lines["quantity"].sum(), len(lines)) == expected


def test_lines_leave_at_their_ship_date_from_their_warehouse(
    tables: Tables, events: dict[str, pl.DataFrame]
) -> None:
    expected = tables.query(
        "SELECT d_date AS day, w AS location_id, sum(q)::BIGINT AS units, count(*) AS lines FROM ("
        "SELECT cs_ship_date_sk AS d, concat('warehouse-' || cs_warehouse_sk) AS w, cs_quantity AS q FROM catalog_sales "
        "UNION ALL SELECT ws_ship_date_sk, concat('warehouse-' || ws_warehouse_sk), ws_quantity FROM web_sales) "
        "JOIN date_dim ON d_date_sk = d GROUP BY ALL ORDER BY ALL"
    )
    lines = events["ParcelShipped"].select("business_date", "lines").explode("lines").unnest("lines")
    units = pl.col("quantity").sum().cast(pl.Int64)
    found = lines.group_by(day="business_date", location_id="location_id").agg(
        units=pl.when(pl.col("quantity").count() > 0).then(units), lines=pl.len().cast(pl.Int64)
    )
    assert_frame_equal(found.sort("day", "location_id"), expected)


def test_stock_counts_are_those_of_the_inventory(tables: Tables, events: dict[str, pl.DataFrame]) -> None:
    expected = tables.query(
        "SELECT d_date::TIMESTAMP AS occurred_at, inv_item_sk::VARCHAR AS sku, "
        "'warehouse-' || inv_warehouse_sk AS location_id, inv_quantity_on_hand::BIGINT AS quantity "
        "FROM inventory JOIN date_dim ON d_date_sk = inv_date_sk WHERE inv_quantity_on_hand IS NOT NULL "
        "ORDER BY occurred_at, sku, location_id"
    )
    found = events["StockCounted"].select(
        pl.col("occurred_at").dt.replace_time_zone(None), "sku", "location_id", "quantity"
    )
    assert_frame_equal(found.sort("occurred_at", "sku", "location_id"), expected)


def test_the_time_of_an_order_is_its_ticket_s(tables: Tables, events: dict[str, pl.DataFrame]) -> None:
    expected = tables.query(
        "SELECT 'tpcds-store-' || ss_ticket_number AS order_id, max(d_date) + to_seconds(max(t_time)) AS occurred_at "
        "FROM store_sales LEFT JOIN date_dim ON d_date_sk = ss_sold_date_sk "
        "LEFT JOIN time_dim ON t_time_sk = ss_sold_time_sk GROUP BY ss_ticket_number ORDER BY order_id"
    )
    store = events["OrderPlaced"].filter(pl.col("channel") == "store").sort("order_id")
    found = store.select("order_id", pl.col("occurred_at").dt.replace_time_zone(None))
    assert_frame_equal(found, expected)


def test_every_event_fits_the_contract_and_its_id_is_its_own(events: dict[str, pl.DataFrame]) -> None:
    contract = load_contract()
    assert sorted(events) == EVERY_RECORD
    for record, frame in events.items():
        schema = contract.latest(record)
        assert frame.schema == pl.Schema(frame_schema(schema))
        for event in frame.sample(20 if len(frame) > 20 else len(frame), seed=7).iter_rows(named=True):
            assert decode(encode(schema, event), contract)[1] == event
            assert EVENTS[record].model_validate(event).event_id == event["event_id"]
    ids = pl.concat([frame["event_id"] for frame in events.values()])
    assert ids.n_unique() == len(ids)


def test_the_size_of_chunks_changes_nothing(tables: Tables, events: dict[str, pl.DataFrame]) -> None:
    again = _collected(tables, chunk=997)
    for record, frame in events.items():
        assert_frame_equal(again[record], frame)


def _documented(column: int) -> dict[str, int]:
    """The figures of docs/histories.md: name -> count, of one column."""
    rows = [line.strip("|").split("|") for line in DOCS.read_text().splitlines() if line.startswith("|")]
    told = [(row[0].strip(), row[column].strip().replace(",", "")) for row in rows if len(row) == 3]
    return {name: int(count) for name, count in told if count.isdigit()}


def test_the_figures_of_the_documentation_are_true() -> None:
    with tpcds.history(0.01) as history:
        for _ in history.frames():
            pass
    assert history.done == history.total
    assert {**history.summary.events, **history.summary.rejected} == _documented(1)
