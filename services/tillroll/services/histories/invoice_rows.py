"""One row of the Online Retail CSV: its values, what role it plays, and why it may be left out (domain.md 6)."""

import polars as pl

from tillroll.services.histories.rejects import REJECT_FRAME

__all__ = ["CHARGES", "COLUMNS", "parsed", "split"]

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

CHARGES = ("POST", "DOT", "C2", "M", "m", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK")
"""Codes of money that is no goods: postage, carriage, manual, discount, samples, bad debt, fees, commission."""

SHOP_ZONE = "Europe/London"
CURRENCY = "GBP"
PRICE_DECIMALS = 6  # half pence are exact, and no price of the shop has more than three
MICROS = 1_000_000
MICROS_PER_PENNY = MICROS // 100
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M")
"""The UCI archive's own, and that of its widespread copy as a spreadsheet export."""

_invoice, _quantity, _micros = pl.col("invoice"), pl.col("quantity"), pl.col("micros")


def parsed(batch: pl.DataFrame) -> pl.DataFrame:
    """A batch of text columns (COLUMNS, file and row) as values; null where a text is none.

    Columns: row, file, invoice, sku, kind, description, quantity, micros (price in millionths), unit_price_minor,
    amount_minor (half up to pence, whatever the sign), at (UTC), day (of the shop), customer, country, currency.
    """
    values = batch.select(
        "row",
        "file",
        *_texts(invoice="InvoiceNo", sku="StockCode", description="Description", country="Country"),
        quantity=pl.col("Quantity").str.strip_chars().cast(pl.Int64, strict=False),
        micros=_price(pl.col("UnitPrice")),
        local=_local_time(pl.col("InvoiceDate")),
        customer=pl.col("CustomerID").str.strip_chars().str.strip_suffix(".0"),
    )
    return values.with_columns(
        kind=pl.when(pl.col("sku").is_in(CHARGES)).then(pl.lit("CHARGE")).otherwise(pl.lit("PRODUCT")),
        unit_price_minor=_pence(_micros),
        amount_minor=_pence(_micros * _quantity),
        at=pl.col("local").dt.convert_time_zone("UTC"),
        day=pl.col("local").dt.date(),
        currency=pl.lit(CURRENCY),
    ).drop("local")


def split(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that become events, with their role (sale, return, adjustment), and those that do not (REJECT_FRAME)."""
    judged = rows.with_columns(reason=_reason())
    kept = judged.filter(pl.col("reason").is_null()).drop("reason", "row", "file").with_columns(role=_role())
    refused = judged.filter(pl.col("reason").is_not_null()).select(
        source="file",
        key=pl.format(
            "row {}, invoice {}, code {}", "row", _invoice.fill_null("?"), pl.col("sku").fill_null("?")
        ),
        reason="reason",
    )
    return kept, refused.cast(REJECT_FRAME)


def _texts(**columns: str) -> list[pl.Expr]:
    return [pl.col(column).str.strip_chars().alias(name) for name, column in columns.items()]


def _price(text: pl.Expr) -> pl.Expr:
    exact = text.str.strip_chars().cast(pl.Decimal(38, PRICE_DECIMALS), strict=False)
    return (exact * MICROS).cast(pl.Int64, strict=False)


def _pence(micros: pl.Expr) -> pl.Expr:
    return micros.sign() * ((micros.abs() + MICROS_PER_PENNY // 2) // MICROS_PER_PENNY)


def _local_time(text: pl.Expr) -> pl.Expr:
    """The shop's clock. The hour that comes twice in autumn is the first; the one left out in spring is none."""
    tries = [
        text.str.strip_chars().str.to_datetime(form, time_unit="us", strict=False) for form in TIME_FORMATS
    ]
    return pl.coalesce(tries).dt.replace_time_zone(SHOP_ZONE, ambiguous="earliest", non_existent="null")


def _role() -> pl.Expr:
    return (
        pl.when(_invoice.str.starts_with("C")).then(pl.lit("return"))
        .when(_quantity > 0).then(pl.lit("sale"))
        .otherwise(pl.lit("adjustment"))
    )  # fmt: skip


def _reason() -> pl.Expr:
    """Why a row is left out; null when it is not. The first that holds."""
    returns = _invoice.str.starts_with("C")
    below = (_quantity < 0) & ~returns
    reasons = {
        "no invoice number": _invoice.is_null() | (_invoice == ""),
        "no stock code": pl.col("sku").is_null() | (pl.col("sku") == ""),
        "quantity is no whole number": _quantity.is_null(),
        "unit price is no number": _micros.is_null(),
        "invoice date is no time of the shop": pl.col("at").is_null(),
        "invoice beginning with A: bad debt, no sale": _invoice.str.starts_with("A"),
        "quantity is 0": _quantity == 0,
        "quantity above 0 on a return": returns & (_quantity > 0),
        "quantity below 0 at a price, and no return": below & (_micros != 0),
        "charge of nothing": below & (pl.col("kind") == "CHARGE"),
    }
    none = pl.lit(None, pl.String)
    return pl.coalesce(
        [pl.when(holds).then(pl.lit(reason)).otherwise(none) for reason, holds in reasons.items()]
    )
