"""The page of the contract, and the generated files of a checkout."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tillroll.contract.docs import contract_page
from tillroll.contract.generated import IDS, MODELS, PAGE, SCHEMAS, stale_files, write_generated
from tillroll.contract.registry import Contract, load_contract
from tillroll.contract.upcasters import Upcaster
from tillroll.errors import ContractError

Folder = Callable[..., Path]
ROOT = Path(__file__).parents[3]


def field(name: str, type_: Any, doc: str = "What it is.", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": doc, **more}


KEYS = [field("sku", "string"), field("location_id", "string")]
COLOUR = {"type": "enum", "name": "Colour", "doc": "What it looks like.", "symbols": ["RED", "BLUE"]}
SPOT = {"type": "record", "name": "Spot", "doc": "Where it lies.", "fields": [field("colour", COLOUR)]}


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The cells of the first table under a heading, by the name in the first column."""
    body = re.split(rf"^#+ {heading}$", page, maxsplit=1, flags=re.M)[1]
    body = re.split(r"^#", body, maxsplit=1, flags=re.M)[0]
    lines = [line for line in body.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {line[0].strip("`"): line for line in cells}


@pytest.fixture
def page(contract_folder: Folder) -> str:
    moved = [
        *KEYS,
        field("at", ["null", {"type": "array", "items": SPOT}], "Where | how.", default=None),
        field("why", "string", default=""),
        field("counts", {"type": "map", "values": "long"}, default={}),
    ]
    folder = contract_folder(
        {"stock/Moved": [KEYS, moved], "notes/Said": [[field("id", "string")]], "any/Odd": [[]]}
    )
    return contract_page(Contract.from_directory(folder))


def test_topics_stand_with_their_keys_and_settings(page: str) -> None:
    topics = rows(page, "Topics")
    assert topics["[stock](#stock)"][1:5] == ["`sku` `\\|` `location_id`", "4", "for ever", "if known"]
    assert topics["[notes](#notes)"][1:5] == ["`about.kind` or `id`", "1", "1,000 ms", "required"]


def test_a_record_stands_under_its_topic_with_the_ids_of_all_its_versions(page: str) -> None:
    order = [
        page.index(f"\n{heading}\n")
        for heading in ("## stock", "### Moved", "## notes", "### Said", "## any", "### Odd")
    ]
    assert order == sorted(order)
    ids = re.findall(r"version (\d) has id (\d+)", page.split("### Moved\n")[1].split("###")[0])
    assert [version for version, _ in ids] == ["1", "2"]
    assert len({id_ for _, id_ in ids}) == 2


def test_fields_stand_with_type_default_and_meaning(page: str) -> None:
    fields = rows(page, "Moved")
    assert list(fields) == ["sku", "location_id", "at", "why", "counts"]
    assert fields["at"][1:] == ["array of [Spot](#spot) or null", "null", "Where \\| how."]
    assert fields["why"][1:3] == ["string", "empty text"]
    assert fields["counts"][1:3] == ["map of long", "`{}`"]
    assert fields["sku"][2] == ""


def test_the_envelope_stands_once(page: str) -> None:
    assert page.count("`causation_id`") == 1
    assert list(rows(page, "Envelope"))[:2] == ["event_id", "source"]


def test_nested_records_and_enums_have_a_place_of_their_own(page: str) -> None:
    assert rows(page, "Spot")["colour"][1] == "[Colour](#colour)"
    assert "What it looks like.\n\nOne of `RED`, `BLUE`." in page


def test_every_link_leads_somewhere(page: str) -> None:
    for text in (page, contract_page(load_contract())):
        places = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", text, re.M)}
        assert set(re.findall(r"\]\(#(\w+)\)", text)) <= places


def test_no_two_headings_are_one_place() -> None:
    headings = re.findall(r"^#+ (.+)$", contract_page(load_contract()), re.M)
    assert len({heading.lower() for heading in headings}) == len(headings)


def test_a_record_that_was_given_up_names_the_one_in_its_place(contract_folder: Folder) -> None:
    folder = contract_folder({"stock/Moved": [KEYS], "stock/MovedV2": [KEYS]})
    contract = Contract.from_directory(folder, {"Moved": Upcaster("MovedV2", lambda events: events)})
    assert "Given up; its events are read as [MovedV2](#movedv2)." in contract_page(contract)


def test_every_record_and_field_of_the_packaged_contract_is_on_its_page() -> None:
    contract, text = load_contract(), contract_page(load_contract())
    for record in contract.records:
        assert set(rows(text, record)) == {f.name for f in contract.latest(record).type.fields[10:]}


# --- generated files -----------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, contract_folder: Callable[[Mapping[str, Sequence[Any]]], Path]) -> Path:
    """A checkout with a small contract and nothing generated but the ids."""
    folder = contract_folder({"stock/Moved": [KEYS]})
    root = tmp_path / "checkout"
    (root / SCHEMAS).parent.mkdir(parents=True)
    folder.rename(root / SCHEMAS)
    return root


def test_the_committed_files_are_in_step() -> None:
    assert stale_files(ROOT) == []


def test_missing_files_are_stale_and_then_written_once(checkout: Path) -> None:
    assert stale_files(checkout) == [MODELS, PAGE]
    assert write_generated(checkout) == [MODELS, PAGE]
    assert stale_files(checkout) == []
    assert write_generated(checkout) == []


@pytest.mark.parametrize("path", [MODELS, PAGE])
def test_a_file_edited_by_hand_is_stale(checkout: Path, path: Path) -> None:
    write_generated(checkout)
    (checkout / path).write_text((checkout / path).read_text() + "\n")
    assert stale_files(checkout) == [path]


def test_a_schema_without_id_makes_the_ids_stale_and_gets_one(checkout: Path) -> None:
    write_generated(checkout)
    schema = (checkout / SCHEMAS / "stock" / "Moved.avsc").read_text()
    (checkout / SCHEMAS / "stock" / "Found.avsc").write_text(schema.replace('"Moved"', '"Found"'))
    assert stale_files(checkout) == [IDS]
    assert write_generated(checkout) == [IDS, MODELS, PAGE]
    assert Contract.from_directory(checkout / SCHEMAS).latest("Found").id == 2


def test_schemas_that_break_the_rules_write_nothing(checkout: Path) -> None:
    path = checkout / SCHEMAS / "stock" / "Moved.avsc"
    path.write_text(path.read_text().replace('"channel"', '"kanal"'))
    with pytest.raises(ContractError, match="envelope"):
        write_generated(checkout)
    assert not (checkout / MODELS).exists()
