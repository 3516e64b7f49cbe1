"""Folders that are no contract: whatever is wrong with one, ContractError says so and nothing else is raised."""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.contract.conftest import Write, field

from tillroll.contract.avro_types import parse_record
from tillroll.contract.check import check_contract
from tillroll.contract.docs import contract_page
from tillroll.contract.frames import frame_schema
from tillroll.contract.generate import generate_models
from tillroll.contract.registry import Contract, load_contract
from tillroll.errors import ContractError

MOVED = [field("sku", "string"), field("location_id", "string"), field("quantity", "long")]


@pytest.fixture
def folder(contract_folder: Write) -> Path:
    return contract_folder({"stock/Moved": [MOVED]})


def said(folder: Path) -> str:
    with pytest.raises(ContractError) as caught:
        Contract.from_directory(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("partitions = 4", "partitions = 0", "1 or more"),
        ("partitions = 4", 'partitions = "4"', "wrong type"),
        ("partitions = 4", "partitions = true", "wrong type"),
        ("retention_ms = -1", "retention_ms = -2", "-1 (for ever) or more"),
        ("retention_ms = -1", "retention_ms = 1.5", "wrong type"),
        ('key = [["sku"], ["location_id"]]', "key = []", "list of lists"),
        ('key = [["sku"], ["location_id"]]', 'key = ["sku"]', "list of lists"),
        ('key = [["sku"], ["location_id"]]', "key = [[]]", "list of lists"),
        ('key = [["sku"], ["location_id"]]', "key = [[1]]", "list of lists"),
        ('key = [["sku"], ["location_id"]]', 'key = "sku"', "wrong type"),
        ('business_date = "required"', 'business_date = "requird"', '"required" or left out'),
        ('business_date = "required"', 'busines_date = "required"', "unknown"),
        ('separator = ":"', "separator = 5", "wrong type"),
        ('doc = "What is where."', "doc = 5", "wrong type"),
        ('doc = "What is where."', "", "doc is missing"),
        ("[stock]", "stock = 5\n[other]", "is no table"),
        ("[stock]", "[stock", "topics.toml"),
    ],
)
def test_topics_that_mean_nothing_are_named(folder: Path, before: str, after: str, fault: str) -> None:
    path = folder / "topics.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    assert "topics.toml" in said(folder)
    assert fault in said(folder)


@pytest.mark.parametrize("id_", ["0", "-1", "99999999999", "true", '"1"', "1.0"])
def test_an_id_that_four_bytes_cannot_hold_is_named(folder: Path, id_: str) -> None:
    path = folder / "ids.toml"
    path.write_text(path.read_text().replace("id = 1,", f"id = {id_},"))
    assert "ids.toml: Moved.v1" in said(folder)


@pytest.mark.parametrize("version", ["v0", "v01", "vv1", "1", "v", "v-1"])
def test_a_version_of_another_spelling_is_named(folder: Path, version: str) -> None:
    path = folder / "ids.toml"
    path.write_text(path.read_text().replace("v1 =", f"{version} ="))
    assert f"ids.toml: Moved.{version}" in said(folder)


def test_an_id_is_never_shared_not_even_with_a_schema_that_is_gone(folder: Path) -> None:
    path = folder / "ids.toml"
    pin = path.read_text().split("[Moved]\n")[1]
    path.write_text(path.read_text() + f"\n[Gone]\n{pin}")
    assert "Moved.v1 and Gone.v1 share id 1" in said(folder)


@pytest.mark.parametrize(
    "name",
    [
        "Moved.v2.avsc",
        "Moved.v01.avsc",
        "Moved.vX.avsc",
        "Moved.v².avsc",
        "Moved.avsc",
        "Gone.v1.avsc",
        "note.txt",
    ],
)
def test_a_file_in_history_that_leads_up_to_no_newest_version_is_named(folder: Path, name: str) -> None:
    shutil.copy(folder / "stock" / "Moved.avsc", folder / "stock" / "history" / name)
    assert "history" in said(folder)


def test_a_record_has_one_place(folder: Path) -> None:
    (folder / "notes").mkdir()
    shutil.copy(folder / "stock" / "Moved.avsc", folder / "notes" / "Moved.avsc")
    assert "a record has one place" in said(folder)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "break_",
    [
        _cut,
        _directory,
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text(""),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"type": "record", "name": "\\ud800", "fields": []}'),
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, break_: Callable[[Path], object]) -> None:
    path = folder / "stock" / "Moved.avsc"
    break_(path)
    assert str(path) in said(folder)


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        ("long", "3"),
        ("long", 1 << 63),
        ("long", True),
        ("int", 1 << 31),
        ("string", None),
        ("boolean", 0),
        (["null", "string"], "x"),
        ({"type": "array", "items": "long"}, ["x"]),
        ({"type": "map", "values": "long"}, []),
        ({"type": "int", "logicalType": "date"}, 10_000_000),
        ({"type": "enum", "name": "Kind", "doc": "Kinds.", "symbols": ["A"]}, "B"),
        ({"type": "record", "name": "Part", "doc": "A part.", "fields": [field("x", "long")]}, {}),
    ],
)
def test_a_default_that_is_no_value_of_its_type_is_refused(
    contract_folder: Write, type_: Any, default: Any
) -> None:
    def load() -> object:
        folder = contract_folder({"stock/Moved": [[*MOVED, field("it", type_, default=default)]]})
        return Contract.from_directory(folder).latest("Moved").type

    with pytest.raises(ContractError, match=r"[Dd]efault"):
        load()


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ([field("x", "long"), field("x", "string")], "each field once"),
        (
            [field("x", {"type": "enum", "name": "Kind", "symbols": ["A"], "default": "B"})],
            "none of its symbols",
        ),
        ([field("x", {"type": "enum", "name": "Kind", "symbols": ["A", "A"]})], "each once"),
        ([field("grün", "long")], "plain name"),
    ],
)
def test_a_record_that_means_two_things_is_refused(fields: list[Any], fault: str) -> None:
    with pytest.raises(ContractError, match=fault):
        parse_record({"type": "record", "name": "Moved", "namespace": "tillroll", "fields": fields})


def test_two_records_named_alike_inside_are_refused_since_single_objects_could_not_be_told_apart(
    contract_folder: Write,
) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Other": [MOVED]})
    shutil.copy(folder / "stock" / "Moved.avsc", folder / "stock" / "Other.avsc")
    assert "share a fingerprint" in said(folder)


def test_versions_that_differ_in_a_default_only_are_read_as_the_newest(contract_folder: Write) -> None:
    first, second = ([*MOVED, field("why", "string", default=why)] for why in ("", "?"))
    contract = Contract.from_directory(contract_folder({"stock/Moved": [first, second]}))
    newest = contract.latest("Moved")
    assert contract.by_fingerprint == {newest.fingerprint: newest}
    assert len(contract.by_id) == 2


JUNK: list[Any] = [
    None, 1, -1, 1.5, True, "", "x", "bytes", "Part", [], {}, [[]], ["null"], ["null", "string", "int"],
    ["null", ["null", "int"]], {"type": "bytes"}, {"type": "record"}, {"type": "array"}, {"name": 5}, 10**30,
    {"type": "enum", "name": "E", "symbols": "AB"}, {"type": "fixed", "name": "F", "size": 4},
    {"type": ["null", "int"]}, {"type": {"type": "string", "logicalType": "uuid"}}, "\ud800",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """The schema of OrderPlaced with one or two places changed, taken out or doubled."""
    schema = deepcopy(load_contract().latest("OrderPlaced").avro)
    for _ in range(draw(st.integers(1, 2))):
        node: Any = schema
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            if not (isinstance(node[key], dict | list) and node[key] and draw(st.integers(0, 5))):
                break
            node = node[key]
        if draw(st.booleans()):
            del node[key]
        else:
            node[key] = deepcopy(draw(st.sampled_from(JUNK)))
        if not schema:
            break
    return schema


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged())
def test_a_damaged_schema_is_refused_or_found_or_works_all_through(tmp_path: Path, schema: Any) -> None:
    source = Path(__file__).parents[3] / "schemas" / "tillroll" / "schemas"
    for name in ("topics.toml", "ids.toml"):
        shutil.copy(source / name, tmp_path / name)
    (tmp_path / "orders").mkdir(exist_ok=True)
    (tmp_path / "orders" / "OrderPlaced.avsc").write_text(json.dumps(schema))
    try:
        contract = Contract.from_directory(tmp_path)
    except ContractError:
        return
    broken = [found for found in check_contract(contract, {}) if found.record == "OrderPlaced"]
    if all("was edited" in found.problem for found in broken):
        assert len(frame_schema(contract.latest("OrderPlaced"))) >= 10
        assert "OrderPlaced" in contract_page(contract)
        compile(generate_models(contract), "models.py", "exec")
