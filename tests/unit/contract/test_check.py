"""The rules that a contract keeps, and what a change to it breaks."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.contract.conftest import Fields, Write, field, record, write_schema

from tillroll.contract.change import Change, check_change
from tillroll.contract.check import Finding, check_contract
from tillroll.contract.registry import Contract, load_contract
from tillroll.contract.source import pinned_ids, read_pins

PLACE = [field("sku", "string"), field("location_id", "string")]
MOVED = [*PLACE, field("quantity", "long")]
REASON = field("reason", ["null", "string"], default=None)
READERS = {"Moved": ["store_availability", "channel_sales"], "Other": ["other"]}
BREAKS = ("channel_sales", "store_availability")
DATE, TIME = {"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-micros"}
UUID = {"type": "string", "logicalType": "uuid"}


def findings(folder: Path) -> list[Finding]:
    return check_contract(Contract.from_directory(folder), READERS)


def problems(folder: Path) -> list[str]:
    return [finding.problem for finding in findings(folder)]


def edit(folder: Path, place: str, change: Mapping[str, Any]) -> None:
    """Overwrites keys of a schema and pins it as if it had always been so."""
    path = folder / f"{place}.avsc"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (folder / "ids.toml").unlink()
    (folder / "ids.toml").write_text(pinned_ids(folder))


def test_the_packaged_contract_breaks_no_rule() -> None:
    assert check_contract(load_contract(), {}) == []


def test_a_sound_contract_has_no_findings(contract_folder: Write) -> None:
    assert findings(contract_folder({"stock/Moved": [MOVED, [*MOVED, REASON]]})) == []


# --- full and transitive -------------------------------------------------------------------------------

ENUM = {"type": "enum", "name": "Kind", "doc": "Kinds.", "symbols": ["A", "B"]}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([*MOVED], [*MOVED, field("weight", "long")], "this version cannot read the older one: .*weight"),
        ([*MOVED, field("weight", "long")], [*MOVED], "the older version cannot read this one: .*weight"),
        ([*PLACE, field("quantity", "int")], MOVED, "the older version cannot read this one: .*long"),
        (MOVED, [*PLACE, field("quantity", "string")], "cannot read the older one: .*long"),
        ([*MOVED, field("k", ENUM)], [*MOVED, field("k", ENUM | {"symbols": ["A"]})], "cannot read .*B"),
        ([*MOVED, field("k", ENUM)], [*MOVED, field("k", ENUM | {"symbols": ["A", "B", "C"]})], "cannot read .*C"),
        ([*MOVED, field("a", "string")], [*MOVED, field("a", ["null", "string"])], "the older version cannot read"),
        ([*MOVED, field("at", "long")], [*MOVED, field("at", TIME)], "Moved.at was long and is timestamp-micros"),
        ([*MOVED, field("d", DATE)], [*MOVED, field("d", "int")], "Moved.d was date and is int"),
        ([*MOVED, field("i", UUID)], [*MOVED, field("i", "string")], "Moved.i was uuid and is string"),
    ],
)  # fmt: skip
def test_a_version_that_not_all_readers_read_is_found_with_the_projections_it_breaks(
    contract_folder: Write, before: Fields, after: Fields, said: str
) -> None:
    found = findings(contract_folder({"stock/Moved": [before, after]}))
    assert {(f.record, f.version, f.breaks) for f in found} == {("Moved", 2, BREAKS)}
    assert all(f.problem.startswith("against version 1: ") for f in found)
    assert [f.problem for f in found if re.search(said, f.problem)]


def nested(*fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    part = {"type": "record", "name": "Part", "doc": "A part.", "fields": list(fields)}
    return [*PLACE, field("parts", {"type": "array", "items": part})]


def test_versions_are_compared_at_any_depth(contract_folder: Write) -> None:
    folder = contract_folder(
        {"stock/Moved": [nested(field("at", "long")), nested(field("at", TIME), field("x", "long"))]}
    )
    assert [p for p in problems(folder) if "Moved.parts.at was long and is timestamp-micros" in p]
    assert [p for p in problems(folder) if "x" in p and "cannot read the older one" in p]


def test_each_version_is_held_against_each(contract_folder: Write) -> None:
    weight, text = (
        field("weight", ["null", "long"], default=None),
        field("weight", ["null", "string"], default=None),
    )
    found = findings(contract_folder({"stock/Moved": [[*MOVED, weight], MOVED, [*MOVED, text]]}))
    assert {(f.version, f.problem[:17]) for f in found} == {(3, "against version 1")}


# --- each rule of one schema ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ([*MOVED, field("x", "long", doc=" ")], "Moved.x has no doc"),
        ([*MOVED, field("x", ENUM | {"doc": ""})], "Moved.x has no doc"),
        (nested(field("x", "long", doc="")), "Moved.parts.x has no doc"),
        ([*MOVED, field("price", "double")], "price is a double"),
        ([*MOVED, field("prices", {"type": "array", "items": "double"})], "prices is a double"),
        ([*MOVED, field("x", "bytes")], "Moved.x: type 'bytes' is not allowed"),
        ([field("sku", "string")], "has none of location_id for sure, of which topic stock makes its key"),
        ([PLACE[0], field("location_id", ["null", "string"])], "has none of location_id for sure"),
    ],
)
def test_a_schema_that_breaks_a_rule_is_found(contract_folder: Write, fields: Fields, problem: str) -> None:
    found = problems(contract_folder({"stock/Moved": [fields]}))
    assert [p for p in found if p.startswith(problem)]
    assert len(found) == 1


def test_coordinates_may_be_doubles(contract_folder: Write) -> None:
    latitude = field("latitude", ["null", "double"], default=None)
    assert problems(contract_folder({"stock/Moved": [[*MOVED, latitude]]})) == []


def test_a_line_does_not_hide_a_field_of_the_event(contract_folder: Write) -> None:
    line = {"type": "record", "name": "Line", "doc": "A line.", "fields": [field("sku", "string")]}
    folder = contract_folder({"stock/Moved": [[*PLACE, field("lines", {"type": "array", "items": line})]]})
    assert problems(folder) == ["lines.sku has the name of a field of the event; rename one"]


def test_a_key_may_lie_in_a_record_or_be_the_second_choice(contract_folder: Write) -> None:
    kind = field("about", {"type": "record", "name": "Ref", "doc": "R.", "fields": [field("kind", "string")]})
    maybe = field("about", ["null", kind["type"]], default=None)
    assert problems(contract_folder({"notes/Said": [[kind]]}, "a")) == []
    assert problems(contract_folder({"notes/Said": [[maybe, field("id", "string")]]}, "b")) == []
    assert problems(contract_folder({"notes/Said": [[maybe]]}, "c")) == [
        "has none of about.kind, id for sure, of which topic notes makes its key"
    ]


@pytest.mark.parametrize(
    ("at", "change", "problem"),
    [
        (0, {"name": "id"}, "field 1 of the envelope is event_id, found id"),
        (9, {"name": "drill"}, "field 10 of the envelope is training, found drill"),
        (3, {"type": "long", "default": 0}, "source_seq has another type or default"),
        (9, {"default": True}, "training has another type or default"),
    ],
)
def test_the_envelope_comes_first_and_is_the_same_everywhere(
    contract_folder: Write, at: int, change: Mapping[str, Any], problem: str
) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    fields = record("Moved", MOVED)["fields"]
    fields[at] = fields[at] | change
    edit(folder, "stock/Moved", {"fields": fields})
    assert [p for p in problems(folder) if p.startswith(problem)]


def test_an_envelope_field_is_described_in_one_way(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Other": [MOVED]})
    fields = record("Other", MOVED)["fields"]
    edit(folder, "stock/Other", {"fields": [fields[0] | {"doc": "Some number."}, *fields[1:]]})
    assert list(map(str, findings(folder))) == ["Other version 1: event_id is not what it is in Moved"]


def test_a_record_without_doc_is_found(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    edit(folder, "stock/Moved", {"doc": ""})
    assert problems(folder) == ["Moved has no doc"]


def test_a_record_is_named_as_its_file(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    edit(folder, "stock/Moved", {"name": "Shifted"})
    assert problems(folder) == ["is named Shifted inside; file and record have one name"]


def test_one_name_means_one_shape_in_all_records(contract_folder: Write) -> None:
    other = nested(field("x", "string"))
    folder = contract_folder({"stock/Moved": [nested(field("x", "long"))], "stock/Other": [other]})
    assert list(map(str, findings(folder))) == ["Other version 1: Part is not what it is in Moved"]


# --- pins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [[*MOVED, REASON], [*PLACE, field("quantity", "long", default=1)]])
def test_a_schema_edited_without_a_new_version_is_found(contract_folder: Write, fields: Fields) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    write_schema(folder, "stock/Moved", record("Moved", fields))
    (found,) = findings(folder)
    assert (found.version, found.breaks) == (1, BREAKS)
    assert "was edited after its id was pinned" in found.problem


def test_a_pin_edited_by_hand_is_found(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    path = folder / "ids.toml"
    (pin,) = read_pins(folder).values()
    path.write_text(path.read_text().replace(pin.fingerprint, "0123456789abcdef"))
    assert problems(folder) == [
        "was edited after its id was pinned: restore it and make the change a new version"
    ]


def test_words_may_be_mended_without_a_new_version(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    write_schema(folder, "stock/Moved", record("Moved", MOVED, doc="Better said."))
    assert findings(folder) == []


def test_a_version_that_ever_was_is_kept(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Other": [MOVED]})
    (folder / "stock" / "Other.avsc").unlink()
    assert list(map(str, findings(folder))) == [
        "Other version 1: its schema is gone, but events of it may be in a log: put it back into history/; breaks other"
    ]


# --- changes -------------------------------------------------------------------------------------------


def changes(old: Path, new: Path) -> list[Change]:
    return check_change(Contract.from_directory(old), Contract.from_directory(new), READERS)


def released(write: Write, *versions: Fields) -> Path:
    return write({"stock/Moved": list(versions)}, "released")


def now(write: Write, records: Mapping[str, Sequence[Fields]]) -> Path:
    return write(records, "now")


def test_nothing_changed_says_nothing(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    assert changes(old, now(contract_folder, {"stock/Moved": [MOVED]})) == []


def test_a_compatible_version_breaks_nothing(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Moved": [MOVED, [*MOVED, REASON]]})
    assert changes(old, new) == [Change("Moved", "version 2 is new, and compatible with all before", False)]


def test_an_incompatible_version_names_the_projections_it_breaks(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Moved": [MOVED, [*MOVED, field("weight", "long")]]})
    (change,) = changes(old, new)
    assert (change.subject, change.breaking, change.breaks) == ("Moved", True, BREAKS)
    assert str(change).startswith("BREAKING Moved: version 2, against version 1: ")
    assert str(change).endswith("; breaks channel_sales, store_availability")


def test_an_edited_version_breaks_its_readers(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Moved": [[*MOVED, REASON]]})
    assert changes(old, new) == [
        Change("Moved", "version 1 was edited; a change is a new version", True, BREAKS)
    ]


def test_a_record_that_is_gone_breaks_and_a_new_one_does_not(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Other": [MOVED]})
    assert changes(old, new) == [
        Change("Moved", "is gone, but events of it may be in a log", True, BREAKS),
        Change("Other", "is new", False),
    ]


def test_a_version_that_is_gone_or_has_another_id_breaks(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED, [*MOVED, REASON])
    new = now(contract_folder, {"stock/Moved": [MOVED]})
    assert [c.what for c in changes(old, new) if c.breaking] == [
        "version 2 is gone, but events of it may be in a log"
    ]
    other = contract_folder({"stock/Moved": [MOVED, [*MOVED, REASON]]}, "other")
    (other / "ids.toml").write_text((other / "ids.toml").read_text().replace("id = 2", "id = 9"))
    assert changes(old, other) == [Change("Moved", "version 2 has id 9 and had 2", True, BREAKS)]


def test_other_words_are_a_change_that_breaks_nothing(contract_folder: Write) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Moved": [MOVED]})
    write_schema(new, "stock/Moved", record("Moved", MOVED, doc="Better said."))
    assert changes(old, new) == [Change("Moved", "version 1 is described in other words", False)]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ('["location_id"]', '["sku"]', Change("topic stock", "makes its keys in another way: one event_id may get two keys", True)),
        ("partitions = 4", "partitions = 2", Change("topic stock", "has 2 partitions and had 4", True)),
        ("partitions = 4", "partitions = 8", Change("topic stock", "has other settings", False)),
        ("[notes]", "[talk]", Change("topic notes", "is gone", True)),
    ],
)  # fmt: skip
def test_a_change_of_a_topic_is_told(contract_folder: Write, before: str, after: str, change: Change) -> None:
    old = released(contract_folder, MOVED)
    new = now(contract_folder, {"stock/Moved": [MOVED]})
    (new / "topics.toml").write_text((new / "topics.toml").read_text().replace(before, after))
    assert changes(old, new)[0] == change


def test_a_record_on_another_topic_breaks(contract_folder: Write) -> None:
    said = [*MOVED, field("id", "string")]
    old = released(contract_folder, said)
    new = now(contract_folder, {"notes/Moved": [said]})
    assert changes(old, new) == [Change("Moved", "stands on topic notes and stood on stock", True, BREAKS)]
