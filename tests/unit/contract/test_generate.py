"""Event classes made from schemas."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from tillroll.contract.generate import CLASS_VARIABLES, TAKEN, generate_models
from tillroll.contract.registry import Contract, load_contract
from tillroll.errors import ContractError
from tillroll.events import BookedEvent, Event, _models

Folder = Callable[[Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]], Path]

HEAD: dict[str, Any] = {
    "event_id": "018f3c1e-7a5b-7c3d-9e2f-0123456789ab",
    "source": "wms",
    "channel": "store",
    "occurred_at": datetime(2026, 3, 14, 12, tzinfo=UTC),
}
COLOUR = {"type": "enum", "name": "Colour", "doc": "What it looks like.", "symbols": ["RED", "BLUE"]}


def field(name: str, type_: Any, doc: str = "What it is.", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": doc, **more}


def spot(*fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Spot", "doc": "Where.", "fields": list(fields)}


SKU, PLACE = field("sku", "string"), field("location_id", "string")
KEYS = [SKU, PLACE]


def made(text: str) -> ModuleType:
    """The module that the text is."""
    module = ModuleType("made")
    exec(compile(text, "made.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def models(contract_folder: Folder) -> Callable[..., str]:
    """The text for one record Moved with these fields behind its keys, or for several records."""

    def text(*fields: Mapping[str, Any], **records: Sequence[Mapping[str, Any]]) -> str:
        told = {f"stock/{name}": [[*KEYS, *own]] for name, own in records.items()} or {
            "stock/Moved": [[*KEYS, *fields]]
        }
        return generate_models(Contract.from_directory(contract_folder(told)))

    return text


def test_the_committed_classes_are_those_of_the_schemas() -> None:
    assert Path(_models.__file__).read_text(encoding="utf-8") == generate_models(load_contract())


def test_a_class_has_name_topic_doc_and_the_fields_with_their_docs(models: Callable[..., str]) -> None:
    model = made(models(field("quantity", "long", "How many."))).Moved
    assert issubclass(model, Event)
    assert (model.record, model.topic, model.__doc__) == ("Moved", "stock", "A Moved.")
    assert list(model.model_fields)[-3:] == ["sku", "location_id", "quantity"]
    assert model.model_fields["quantity"].description == "How many."


def test_only_the_newest_version_gets_a_class(contract_folder: Folder) -> None:
    folder = contract_folder({"stock/Moved": [KEYS, [*KEYS, field("why", ["null", "string"], default=None)]]})
    model = made(generate_models(Contract.from_directory(folder))).Moved
    assert model(**HEAD, sku="s", location_id="l").why is None


def test_records_of_a_topic_that_needs_a_book_day_need_it(contract_folder: Folder) -> None:
    folder = contract_folder({"notes/Said": [[field("id", "string")]], "stock/Moved": [KEYS]})
    found = made(generate_models(Contract.from_directory(folder)))
    assert issubclass(found.Said, BookedEvent)
    assert not issubclass(found.Moved, BookedEvent)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("string", "a", 1),
        ("int", 1 << 30, 1 << 31),
        ("long", 1 << 62, 1 << 63),
        ("boolean", True, 1),
        ("double", 1.5, "1.5"),
        ({"type": "string", "logicalType": "uuid"}, HEAD["event_id"], "x"),
        ({"type": "int", "logicalType": "date"}, HEAD["occurred_at"].date(), HEAD["occurred_at"]),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            HEAD["occurred_at"],
            HEAD["occurred_at"].date(),
        ),
        (COLOUR, "RED", "GREEN"),
        ({"type": "array", "items": "long"}, [1, 2], [1, "2"]),
        ({"type": "map", "values": "long"}, {"a": 1}, {"a": "1"}),
        (["null", "long"], None, 2.5),
        (spot(field("shelf", ["null", COLOUR], default=None)), {"shelf": "BLUE"}, {"shelf": "GREEN"}),
        ({"type": "array", "items": spot(field("shelf", "long"))}, [{"shelf": 1}], [{"shelf": None}]),
    ],
)
def test_every_type_of_the_contract_takes_its_values_and_no_others(
    models: Callable[..., str], type_: Any, good: Any, bad: Any
) -> None:
    model = made(models(field("it", type_))).Moved
    assert model(**HEAD, sku="s", location_id="l", it=good).fields()["it"] == good
    with pytest.raises(ValidationError, match="it"):
        model(**HEAD, sku="s", location_id="l", it=bad)


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        (["null", "string"], None),
        ("string", ""),
        ("string", 'it\'s "so"'),
        ("long", -3),
        ("double", 0.5),
        ("boolean", True),
        (COLOUR, "BLUE"),
        ({"type": "array", "items": "long"}, []),
        ({"type": "map", "values": "long"}, {}),
    ],
)
def test_a_default_of_the_schema_is_that_of_the_class(
    models: Callable[..., str], type_: Any, default: Any
) -> None:
    model = made(models(field("it", type_, default=default))).Moved
    assert model(**HEAD, sku="s", location_id="l").it == default


def test_two_events_do_not_share_a_default_list(models: Callable[..., str]) -> None:
    model = made(models(field("it", {"type": "array", "items": "long"}, default=[]))).Moved
    first, second = (model(**HEAD, sku="s", location_id="l") for _ in range(2))
    first.it.append(1)
    assert second.it == []


def test_a_nested_type_of_two_records_is_one_class(models: Callable[..., str]) -> None:
    text = models(
        Moved=[field("at", spot(field("shelf", "long")))], Found=[field("at", spot(field("shelf", "long")))]
    )
    assert text.count("class Spot(Part):") == 1
    assert "Spot" in made(text).__all__


def test_two_nested_types_of_one_name_are_refused(models: Callable[..., str]) -> None:
    with pytest.raises(ContractError, match="Spot differs"):
        models(
            Moved=[field("at", spot(field("shelf", "long")))],
            Found=[field("at", spot(field("shelf", "int")))],
        )


@pytest.mark.parametrize("name", ["Found", "Event", "Text", "Part"])
def test_a_nested_type_named_like_something_else_is_refused(models: Callable[..., str], name: str) -> None:
    nested = spot(field("shelf", "long")) | {"name": name}
    with pytest.raises(ContractError, match=f"{name} is the name of a nested type"):
        models(Moved=[field("at", nested)], Found=[])


@pytest.mark.parametrize(
    "name", ["class", "record", "topic", "_hidden", "model_config", "fields", "read", "copy"]
)
def test_a_field_that_a_class_has_no_room_for_is_refused(models: Callable[..., str], name: str) -> None:
    with pytest.raises(ContractError, match=name):
        models(field(name, "string"))


def test_every_name_that_classes_have_is_taken() -> None:
    own = {name for name in dir(Event) if not name.startswith(("_", "model_"))} - set(Event.model_fields)
    assert own == TAKEN
    assert set(Event.__class_vars__) == CLASS_VARIABLES


def test_a_record_without_the_envelope_is_refused(contract_folder: Folder) -> None:
    folder = contract_folder({"stock/Moved": [KEYS]})
    path = folder / "stock" / "Moved.avsc"
    path.write_text(path.read_text().replace('"channel"', '"kanal"'))
    with pytest.raises(
        ContractError, match="Moved version 1: field 5 of the envelope is channel, found kanal"
    ):
        generate_models(Contract.from_directory(folder))


WILD = [
    'Says "hello".',
    "It's here.",
    "Both \"this\" and 'that'.",
    "A backslash \\ and \\n.",
    'Ends with a quote "',
    '"""',
    "Umlauts: größer, 靴, 🧾.",
    "word " * 60,
    "x" * 300,
    "Two\nlines.",
    "tab\there",
    "ends with \\",
]


@pytest.mark.parametrize("doc", WILD)
def test_docs_of_all_kinds_leave_text_that_python_reads_and_the_formatter_keeps(
    models: Callable[..., str], doc: str
) -> None:
    text = models(
        field("short", "long", doc), field("nested", spot(field("shelf", COLOUR, doc)) | {"doc": doc}, doc)
    )
    found = made(text)
    assert found.Moved.model_fields["short"].description == doc
    assert " ".join(found.Spot.__doc__.split()) == " ".join(doc.split())
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=110", "-"]
    formatted = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, encoding="utf-8")
    assert formatted.stdout == text
