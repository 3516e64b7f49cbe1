"""The events of Online Retail say what plain SQL over its CSV files says."""

import gzip
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract
from tillroll.contract.wire import decode, encode
from tillroll.events import EVENTS
from tillroll.services.histories import online_retail
from tillroll.services.histories.history import Summary

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "histories.md"
DATA = HERE.parents[1].parent / "shared" / "data" / "online-retail"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the Online Retail files are not beside the checkout"
)


def _collected(*paths: Path) -> tuple[dict[str, pl.DataFrame], Summary]:
    frames: dict[str, list[pl.DataFrame]] = {}
    with online_retail.history(paths) as history:
        for record, frame in history.frames():
            frames.setdefault(record, []).append(frame)
        assert history.done == history.total
    return {record: pl.concat(parts) for record, parts in frames.items()}, history.summary


@pytest.fixture(scope="module")
def imported() -> tuple[dict[str, pl.DataFrame], Summary]:
    return _collected(DATA)


@pytest.fixture(scope="module")
def events(imported: tuple[dict[str, pl.DataFrame], Summary]) -> dict[str, pl.DataFrame]:
    return imported[0]


def _sql(name: str, **tables: pl.DataFrame) -> pl.DataFrame:
    with duckdb.connect() as connection:
        files = sorted(map(str, DATA.glob("*.csv.gz")))
        connection.execute("SET VARIABLE files = $files", {"files": files})
        for table, frame in tables.items():
            connection.register(table, frame.to_arrow())
        return pl.DataFrame(connection.execute((HERE / name).read_text()).to_arrow_table())


def test_channel_sales_of_the_events_equal_those_of_the_files(events: dict[str, pl.DataFrame]) -> None:
    wanted = {record: events[record] for record in ("OrderPlaced", "ReturnReceived", "RefundIssued")}
    expected = _sql("expected_online_retail_channel_sales.sql")
    assert expected["orders"].sum() > 0
    assert_frame_equal(_sql("channel_sales_of_events.sql", **wanted), expected)


def test_stock_moves_by_the_quantities_of_the_product_rows(events: dict[str, pl.DataFrame]) -> None:
    rows = pl.concat([pl.read_csv(file, infer_schema=False) for file in sorted(DATA.glob("*.csv.gz"))])
    charges = ["POST", "DOT", "C2", "M", "m", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK"]
    goods = rows.filter(~pl.col("StockCode").is_in(charges), ~pl.col("InvoiceNo").str.starts_with("A"))
    expected = goods.group_by(sku="StockCode").agg(moved=-pl.col("Quantity").cast(pl.Int64))
    expected = expected.with_columns(pl.col("moved").list.sum())
    adjusted = goods.filter(~pl.col("InvoiceNo").str.starts_with("C"), pl.col("Quantity").cast(pl.Int64) < 0)
    twice = adjusted.group_by(sku="StockCode").agg(pl.col("Quantity").cast(pl.Int64).sum().alias("adjusted"))
    # A sale of 3 moves -3, a return of -3 moves +3; an adjustment of -3 already says how stock moves.
    expected = expected.join(twice, on="sku", how="left").select(
        "sku", moved=pl.col("moved") + 2 * pl.col("adjusted").fill_null(0)
    )
    moves = pl.concat([
        _lines(events["ParcelShipped"]).select("sku", moved=-pl.col("quantity")),
        _lines(events["ReturnDispositioned"]).select("sku", moved="quantity"),
        events["StockAdjusted"].select("sku", moved="quantity"),
    ])  # fmt: skip
    found = moves.group_by("sku").agg(pl.col("moved").sum())
    assert_frame_equal(found, expected, check_row_order=False)


def _lines(frame: pl.DataFrame) -> pl.DataFrame:
    return frame["lines"].explode().struct.unnest()


def test_every_event_fits_the_contract_and_its_id_is_its_own(events: dict[str, pl.DataFrame]) -> None:
    contract = load_contract()
    for record, frame in events.items():
        schema = contract.latest(record)
        assert frame.schema == pl.Schema(frame_schema(schema))
        for event in frame.sample(20, seed=7).iter_rows(named=True):
            assert decode(encode(schema, event), contract)[1] == event
            assert EVENTS[record].model_validate(event).event_id == event["event_id"]
    ids = pl.concat([frame["event_id"] for frame in events.values()])
    assert ids.n_unique() == len(ids)


def _documented(column: int) -> dict[str, int]:
    """The figures of docs/histories.md: name -> count, of one column."""
    rows = [line.strip("|").split("|") for line in DOCS.read_text().splitlines() if line.startswith("|")]
    told = [(row[0].strip(), row[column].strip().replace(",", "")) for row in rows if len(row) == 3]
    return {name: int(count) for name, count in told if count.isdigit()}


def test_the_figures_of_the_documentation_are_true(imported: tuple[dict[str, pl.DataFrame], Summary]) -> None:
    summary = imported[1]
    assert {**summary.events, **summary.rejected} == _documented(2)


def test_neither_the_order_of_files_nor_where_they_are_cut_matters(tmp_path: Path) -> None:
    days = sorted(DATA.glob("*.csv.gz"))[:3]
    whole, _ = _collected(*days)
    header, *rows = b"".join(_rows(day, keep_header=day == days[0]) for day in days).splitlines(keepends=True)
    assert all(rows[at - 1][:6] == rows[at][:6] for at in (700, 1500)), "both cuts go through an invoice"
    for name, part in (("a.csv", rows[1500:]), ("b.csv", rows[700:1500]), ("c.csv", rows[:700])):
        (tmp_path / name).write_bytes(header + b"".join(part))
    cut, _ = _collected(tmp_path)
    assert whole.keys() == cut.keys()
    for record, frame in whole.items():
        assert_frame_equal(cut[record], frame)


def _rows(file: Path, keep_header: bool) -> bytes:
    text = gzip.decompress(file.read_bytes())
    return text if keep_header else text.partition(b"\n")[2]
