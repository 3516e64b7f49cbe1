"""The UCI Online Retail invoices as events: a real shop's year on the web (domain.md 6; docs/histories.md).

First every file is read, checked and set aside by invoice (``invoice_rows``); then invoices become events. So a
broken file is found before anything is published, and neither the order of the files nor an invoice that
stands in two of them makes a difference.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tillroll.services.histories.countries import COUNTRY_CODES
from tillroll.services.histories.csv_files import csv_files, read_batches
from tillroll.services.histories.frames import conform
from tillroll.services.histories.history import CHUNK, EventFrame, History
from tillroll.services.histories.ids import event_ids
from tillroll.services.histories.invoice_rows import COLUMNS, parsed, split
from tillroll.services.histories.rejects import Rejects
from tillroll.services.histories.spool import Spool

__all__ = ["SOURCE", "history"]

SOURCE = "online-retail"
CHANNEL = "web"
NOWHERE = ""
"""The invoices name no shop and no warehouse."""

PART_BYTES = 64 << 20
"""Text of one part, at most; as columns about the same again, several times over while events are made."""

GZIP_RATIO = 8
"""How much longer the text is than its gzip file; the Online Retail files reach 6."""


@contextmanager
def history(
    paths: Iterable[Path], *, chunk: int = CHUNK, rejects: Rejects | None = None
) -> Iterator[History]:
    """The invoices in the files and folders of `paths`; frames of at most `chunk` events.

    Reads and checks every file before it yields. Raises TillrollError for what cannot be read.
    """
    files = csv_files(Path(path) for path in paths)
    refused = rejects or Rejects()
    with tempfile.TemporaryDirectory(prefix="tillroll-online-retail-") as folder:
        spool = Spool(Path(folder), "invoice", _parts(files))
        names = _Names()
        rows = _set_aside(files, spool, names, refused)
        yield History(
            "Online Retail",
            rows,
            refused,
            lambda opened: _produce(opened, spool, names, chunk),
            done=refused.total,
        )


def _parts(files: Iterable[Path]) -> int:
    size = sum(file.stat().st_size * (GZIP_RATIO if file.suffix == ".gz" else 1) for file in files)
    return 1 + size // PART_BYTES


def _set_aside(files: Iterable[Path], spool: Spool, names: "_Names", rejects: Rejects) -> int:
    """Read all files; how many rows there were."""
    total = 0
    for batch in _gathered(files):
        kept, refused = split(parsed(batch))
        rejects.add(refused)
        spool.add(kept)
        names.add(kept)
        total += len(batch)
    return total


def _gathered(files: Iterable[Path]) -> Iterator[pl.DataFrame]:
    """The files' rows, small files put together: every frame costs the same few milliseconds, however short."""
    waiting: list[pl.DataFrame] = []
    for file in files:
        for batch in read_batches(file, COLUMNS):
            waiting.append(batch.with_columns(file=pl.lit(file.name)))
            if sum(map(len, waiting)) >= CHUNK:
                yield pl.concat(waiting)
                waiting.clear()
    if waiting:
        yield pl.concat(waiting)


class _Names:
    """What each product was called, and since when; grows with the assortment, not with the sales."""

    def __init__(self) -> None:
        self._first = pl.DataFrame(
            schema={"sku": pl.String, "name": pl.String, "occurred_at": pl.Datetime("us", "UTC")}
        )

    def add(self, rows: pl.DataFrame) -> None:
        """Names on lines sold at a price; on others the description is often a note."""
        named = rows.filter(
            pl.col("role") == "sale",
            pl.col("kind") == "PRODUCT",
            pl.col("micros") > 0,
            pl.col("description") != "",
        ).select("sku", name="description", occurred_at="at")
        self._first = pl.concat([self._first, named]).group_by("sku", "name").agg(pl.col("occurred_at").min())

    def events(self) -> pl.DataFrame:
        """ProductDescribed, one per product and name."""
        rows = self._first.sort("occurred_at", "sku", "name")
        key = pl.concat_str("sku", "name", pl.col("occurred_at").dt.to_string("iso"), separator="/")
        return rows.with_columns(
            event_id=event_ids(SOURCE, "ProductDescribed", rows.select(key).to_series()),
            source=pl.lit(SOURCE),
            channel=pl.lit("reference"),
        )


def _produce(opened: History, spool: Spool, names: _Names, chunk: int) -> Iterator[EventFrame]:
    yield from _chunks("ProductDescribed", names.events(), chunk)
    for rows in spool.parts():
        yield from _sales(_numbered(rows, "sale"), chunk)
        yield from _returns(_numbered(rows, "return"), chunk)
        yield from _chunks("StockAdjusted", _adjustments(_numbered(rows, "adjustment")), chunk)
        opened.done += len(rows)


def _chunks(record: str, events: pl.DataFrame, chunk: int) -> Iterator[EventFrame]:
    for part in events.iter_slices(chunk):
        yield record, conform(record, part)


def _numbered(rows: pl.DataFrame, role: str) -> pl.DataFrame:
    """Rows of one role with a line id: the code, and from its second line on a number behind it.

    Lines of a code are numbered by what they say, not by where they stood, so that the order of the input
    does not matter; lines that say the same are alike.
    """
    wanted = rows.filter(pl.col("role") == role).sort(
        "invoice", "sku", "at", "quantity", "micros", "description"
    )
    nth = pl.int_range(1, pl.len() + 1).over("invoice", "sku")
    again = pl.concat_str("sku", pl.lit("/"), nth)
    return wanted.with_columns(line_id=pl.when(nth == 1).then("sku").otherwise(again))


def _heads(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per invoice, in the order of time: what its lines share. Two times: the earlier counts."""
    heads = lines.group_by("invoice").agg(pl.col("at", "day", "customer", "country", "currency").min())
    account = pl.struct(kind=pl.lit("account"), value="customer")
    return heads.sort("at", "invoice").select(
        "invoice",
        "country",
        "currency",
        source=pl.lit(SOURCE),
        channel=pl.lit(CHANNEL),
        occurred_at="at",
        business_date="day",
        order_location_id=pl.lit(NOWHERE),
        customer=pl.when(pl.col("customer").is_null()).then(pl.lit([])).otherwise(pl.concat_list(account)),
    )


def _with_lines(heads: pl.DataFrame, lines: pl.DataFrame, *fields: str) -> pl.DataFrame:
    """Invoices that have such lines, with them."""
    nested = lines.group_by("invoice", maintain_order=True).agg(
        lines=pl.struct(*fields, location_id=pl.lit(NOWHERE))
    )
    return heads.join(nested, on="invoice", maintain_order="left")


def _sales(lines: pl.DataFrame, chunk: int) -> Iterator[EventFrame]:
    """An invoice is printed as the goods go out: placed, sourced and shipped at once."""
    heads = _heads(lines).with_columns(
        order_id="invoice",
        order_channel=pl.lit(CHANNEL),
        order_business_date="business_date",
        parcel_id="invoice",
    )
    code = pl.col("country").replace_strict(COUNTRY_CODES, default=None, return_dtype=pl.String)
    delivery = pl.when(code.is_not_null()).then(pl.struct(country=code))
    placed = _with_lines(
        heads.with_columns(delivery=delivery), lines.with_columns(fulfilment=pl.lit("SHIP")),
        "line_id", "sku", "kind", "fulfilment", "quantity", "unit_price_minor", "amount_minor",
    )  # fmt: skip
    yield from _chunks("OrderPlaced", _identified("OrderPlaced", placed), chunk)
    products = lines.filter(pl.col("kind") == "PRODUCT")
    moved = _with_lines(heads, products, "line_id", "sku", "quantity")
    for record in ("LineSourced", "ParcelShipped"):
        yield from _chunks(record, _identified(record, moved), chunk)


def _returns(lines: pl.DataFrame, chunk: int) -> Iterator[EventFrame]:
    """An invoice with C in front: a return of its own, back on sale (what was damaged is adjusted afterwards)."""
    back = lines.with_columns(-pl.col("quantity", "amount_minor"), disposition=pl.lit("sellable"))
    heads = _heads(back).with_columns(return_id="invoice", refund_id="invoice", location_id=pl.lit(NOWHERE))
    fields = ("line_id", "sku", "kind", "quantity", "amount_minor")
    yield from _chunks(
        "ReturnReceived", _identified("ReturnReceived", _with_lines(heads, back, *fields)), chunk
    )
    products = back.filter(pl.col("kind") == "PRODUCT")
    disposed = _with_lines(heads, products, *fields, "disposition")
    yield from _chunks("ReturnDispositioned", _identified("ReturnDispositioned", disposed), chunk)
    amounts = back.group_by("invoice").agg(pl.col("amount_minor").sum())
    refunds = heads.join(amounts, on="invoice", maintain_order="left")
    yield from _chunks("RefundIssued", _identified("RefundIssued", refunds), chunk)


def _adjustments(lines: pl.DataFrame) -> pl.DataFrame:
    rows = lines.sort("at", "invoice", "line_id").with_columns(
        source=pl.lit(SOURCE),
        channel=pl.lit("warehouse"),
        occurred_at="at",
        business_date="day",
        location_id=pl.lit(NOWHERE),
        reference="invoice",
        reason="description",
    )
    key = rows.select(pl.concat_str("invoice", "line_id", separator="/")).to_series()
    return rows.with_columns(event_ids(SOURCE, "StockAdjusted", key))


def _identified(record: str, events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(event_ids(SOURCE, record, events["invoice"]))
