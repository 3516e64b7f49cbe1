"""Made-up contracts: small folders of schemas that a test changes at will."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tillroll.contract.registry import load_contract
from tillroll.contract.source import pinned_ids

TOPICS = """
[stock]
doc = "What is where."
partitions = 4
key = [["sku"], ["location_id"]]
retention_ms = -1

[notes]
doc = "What is said."
partitions = 1
key = [["about.kind", "id"]]
separator = ":"
retention_ms = 1000
business_date = "required"
"""

Fields = Sequence[Mapping[str, Any]]
Write = Callable[..., Path]


def field(name: str, type_: Any, **more: Any) -> dict[str, Any]:
    """One documented field."""
    return {"name": name, "type": type_, "doc": f"The {name}."} | more


def record(name: str, fields: Fields, **more: Any) -> dict[str, Any]:
    """One documented record, envelope in front."""
    envelope = load_contract().latest("StockCounted").avro["fields"][:10]
    return {"type": "record", "namespace": "tillroll", "name": name, "doc": f"A {name}."} | {
        "fields": [*envelope, *fields],
        **more,
    }


def write_schema(folder: Path, place: str, *versions: Mapping[str, Any]) -> None:
    """Writes all versions of a record, oldest first, to `place` (``stock/Moved``)."""
    topic, name = place.split("/")
    (folder / topic / "history").mkdir(parents=True, exist_ok=True)
    for number, schema in enumerate(versions, 1):
        file = f"{name}.avsc" if number == len(versions) else f"history/{name}.v{number}.avsc"
        (folder / topic / file).write_text(json.dumps(schema))


@pytest.fixture
def contract_folder(tmp_path: Path) -> Write:
    """Writes a contract: ``place=[version, ...]`` where a version is the fields behind the envelope."""

    def write(records: Mapping[str, Sequence[Fields]], name: str = "schemas") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "topics.toml").write_text(TOPICS)
        for place, versions in records.items():
            write_schema(folder, place, *(record(place.split("/")[1], fields) for fields in versions))
        (folder / "ids.toml").write_text(pinned_ids(folder))
        return folder

    return write
