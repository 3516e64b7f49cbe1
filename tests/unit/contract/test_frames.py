"""Frames of a record: their types, older versions as the newest, old records as new ones."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from tests.unit.contract.conftest import Write, field

from tillroll.contract.frames import align, frame_schema
from tillroll.contract.registry import Contract, load_contract
from tillroll.contract.upcast import upcast
from tillroll.contract.upcasters import Upcaster, last_record, upcaster
from tillroll.errors import ContractError

PLACE = [field("sku", "string"), field("location_id", "string")]
KIND = {"type": "enum", "name": "Kind", "doc": "Kinds.", "symbols": ["A", "B"]}
DATE, TIME = {"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-micros"}


def part(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "doc": f"A {name}.", "fields": list(fields)}


def many(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def test_every_avro_type_has_its_polars_type(contract_folder: Write) -> None:
    fields = [
        *PLACE,
        field("small", "int"),
        field("day", ["null", DATE], default=None),
        field("kind", KIND),
        field("again", ["null", "Kind"], default=None),
        field("latitude", "double"),
        field("tags", many("string")),
        field("counts", {"type": "map", "values": "long"}),
        field("pair", ["null", part("Pair", field("x", "long"), field("at", TIME))], default=None),
        field("pairs", many("Pair")),
    ]
    contract = Contract.from_directory(contract_folder({"stock/Typed": [fields]}))
    utc, pair = pl.Datetime("us", "UTC"), pl.Struct({"x": pl.Int64(), "at": pl.Datetime("us", "UTC")})
    text, day = pl.String(), pl.Date()
    assert frame_schema(contract.latest("Typed")) == pl.Schema(
        {
            "event_id": text, "source": text, "source_epoch": text, "source_seq": pl.Int64(), "channel": text,
            "occurred_at": utc, "business_date": day, "correlation_id": text, "causation_id": text,
            "training": pl.Boolean(), "sku": text, "location_id": text, "small": pl.Int32(), "day": day,
            "kind": text, "again": text, "latitude": pl.Float64(), "tags": pl.List(text),
            "counts": pl.Map(text, pl.Int64()), "pair": pair, "pairs": pl.List(pair),
        }
    )  # fmt: skip


def test_every_packaged_record_has_a_frame() -> None:
    contract = load_contract()
    for name in contract.records:
        assert len(pl.DataFrame(schema=frame_schema(contract.latest(name)))) == 0


# --- align ---------------------------------------------------------------------------------------------

LINE_1 = part("Line", field("line_id", "string"), field("note", ["null", "string"], default=None))
LINE_2 = part(
    "Line",
    field("line_id", "string"),
    field("quantity", "long", default=1),
    field("inner", part("Inner", field("x", "long", default=7)), default={"x": 9}),
)
BOX_1 = part("Box", field("a", "long", default=0))
BOX_2 = part("Box", field("a", "long", default=0), field("b", ["null", "string"], default=None))
VERSION_1 = [
    *PLACE,
    field("dropped", ["null", "string"], default=None),
    field("lines", many(LINE_1)),
    field("box", ["null", BOX_1], default=None),
]
VERSION_2 = [
    *PLACE,
    field("lines", many(LINE_2)),
    field("box", ["null", BOX_2], default=None),
    field("quantity", "long", default=3),
    field("kind", KIND, default="B"),
    field("since", DATE, default=1),
    field("at", TIME, default=1_000_000),
    field("tags", many("string"), default=["t"]),
    field("maybe", ["null", "long"], default=None),
    field("whole", part("Whole", field("p", "string"), field("q", "long", default=5)), default={"p": "x"}),
]
EVENT = {
    "event_id": "e", "source": "s", "channel": "c", "occurred_at": datetime(2026, 3, 1, tzinfo=UTC),
    "training": False, "sku": "shoe", "location_id": "store",
}  # fmt: skip


@pytest.fixture
def two_versions(contract_folder: Write) -> Contract:
    return Contract.from_directory(contract_folder({"stock/Boxed": [VERSION_1, VERSION_2]}))


def boxed(contract: Contract, *events: dict[str, Any]) -> pl.DataFrame:
    """A frame of version 1, with a column of the runtime in front."""
    old = frame_schema(contract.versions("Boxed")[0])
    frame = pl.DataFrame([EVENT | event for event in events], schema=old, orient="row")
    return frame.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("_offset"), *old.names())


def test_an_older_version_gets_the_columns_and_defaults_of_the_newest(two_versions: Contract) -> None:
    old, new = two_versions.versions("Boxed")
    events: list[dict[str, Any]] = [
        {"lines": [{"line_id": "1", "note": "n"}, {"line_id": "2", "note": None}], "box": {"a": 4}},
        {"lines": [], "box": None},
    ]
    frame = align(boxed(two_versions, *events), old, new)
    assert frame.schema == pl.Schema({"_offset": pl.Int64()} | dict(frame_schema(new)))
    first, second = frame.to_dicts()
    assert first["lines"] == [
        {"line_id": "1", "quantity": 1, "inner": {"x": 9}},
        {"line_id": "2", "quantity": 1, "inner": {"x": 9}},
    ]
    assert (first["box"], second["box"], second["lines"]) == ({"a": 4, "b": None}, None, [])
    assert [row["_offset"] for row in (first, second)] == [0, 1]
    assert {name: second[name] for name in ("quantity", "kind", "since", "at", "tags", "maybe", "whole")} == {
        "quantity": 3, "kind": "B", "since": date(1970, 1, 2), "at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "tags": ["t"], "maybe": None, "whole": {"p": "x", "q": 5},
    }  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1])
def test_a_frame_keeps_its_height_when_it_is_aligned(two_versions: Contract, rows: int) -> None:
    old, new = two_versions.versions("Boxed")
    events: list[dict[str, Any]] = [{"lines": []}] * rows
    frame = align(boxed(two_versions, *events), old, new)
    assert (len(frame), frame.columns[1:]) == (rows, frame_schema(new).names())


def test_a_newer_version_fits_an_older_reader(two_versions: Contract) -> None:
    old, new = two_versions.versions("Boxed")
    there = align(boxed(two_versions, {"lines": [{"line_id": "1", "note": "n"}]}), old, new)
    back = align(there, new, old)
    assert back.drop("_offset").schema == frame_schema(old)
    assert back["lines"].to_list() == [[{"line_id": "1", "note": None}]]


def test_the_newest_version_is_left_alone(two_versions: Contract) -> None:
    old, new = two_versions.versions("Boxed")
    frame = align(boxed(two_versions, {"lines": []}), old, new)
    assert align(frame, new, new) is frame


def test_a_field_with_neither_value_nor_default_is_named(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Grown": [PLACE, [*PLACE, field("weight", "long")]]})
    old, new = Contract.from_directory(folder).versions("Grown")
    with pytest.raises(ContractError, match="field weight has no default"):
        align(pl.DataFrame(schema=frame_schema(old)), old, new)


# --- upcast --------------------------------------------------------------------------------------------

WEIGHED = [*PLACE, field("grams", "long")]


def upcasting(folder: Write, function: Any) -> Contract:
    table: dict[str, Upcaster] = {}
    upcaster("Boxed", "Weighed", table)(function)
    upcaster("Weighed", "WeighedV2", table)(lambda events: events.with_columns(kilos=pl.col("grams") // 1000))
    records = {
        "stock/Boxed": [VERSION_1, VERSION_2],
        "stock/Weighed": [WEIGHED],
        "stock/WeighedV2": [[*WEIGHED, field("kilos", "long")]],
    }
    return Contract.from_directory(folder(records), table)


def weighed(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(grams=pl.col("quantity").cast(pl.Int32) * 1000)


def test_old_events_become_the_last_record_of_the_chain(contract_folder: Write) -> None:
    contract = upcasting(contract_folder, weighed)
    frame = boxed(contract, {"lines": [], "sku": "a"}, {"lines": [], "sku": "b"})
    record, newest = upcast(contract.versions("Boxed")[0], frame, contract)
    assert record == "WeighedV2" == contract.newest_record("Boxed")
    assert newest.schema == pl.Schema(
        {"_offset": pl.Int64()} | dict(frame_schema(contract.latest("WeighedV2")))
    )
    assert newest.select("_offset", "sku", "grams", "kilos").rows() == [(0, "a", 3000, 3), (1, "b", 3000, 3)]


def test_a_record_without_upcaster_is_only_aligned(two_versions: Contract) -> None:
    old, new = two_versions.versions("Boxed")
    record, frame = upcast(old, boxed(two_versions, {"lines": []}), two_versions)
    assert (record, frame.columns) == ("Boxed", ["_offset", *frame_schema(new).names()])
    assert two_versions.newest_record("Boxed") == "Boxed"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda events: events, "from Boxed to Weighed leaves out grams"),
        (lambda events: weighed(events)[:1], "from Boxed to Weighed makes 1 rows of 2"),
    ],
)
def test_an_upcaster_that_loses_rows_or_columns_is_named(
    contract_folder: Write, function: Any, said: str
) -> None:
    contract = upcasting(contract_folder, function)
    with pytest.raises(ContractError, match=said):
        upcast(contract.versions("Boxed")[0], boxed(contract, {"lines": []}, {"lines": []}), contract)


def test_upcasters_see_no_columns_of_the_runtime(contract_folder: Write) -> None:
    seen: list[list[str]] = []

    def watched(events: pl.DataFrame) -> pl.DataFrame:
        seen.append(events.columns)
        return weighed(events)

    contract = upcasting(contract_folder, watched)
    upcast(contract.versions("Boxed")[0], boxed(contract, {"lines": []}), contract)
    assert seen == [frame_schema(contract.latest("Boxed")).names()]


def test_a_record_has_one_upcaster_and_no_way_back() -> None:
    table: dict[str, Upcaster] = {}
    upcaster("A", "B", table)(lambda events: events)
    upcaster("B", "C", table)(lambda events: events)
    with pytest.raises(ContractError, match="A has an upcaster already, to B"):
        upcaster("A", "C", table)(lambda events: events)
    with pytest.raises(ContractError, match="from C to A would lead back to C"):
        upcaster("C", "A", table)(lambda events: events)
    assert last_record("A", table) == "C"
