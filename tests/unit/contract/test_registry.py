"""The contract as loaded: versions, ids that never change, topics and keys."""

import json
import struct
from pathlib import Path

import pytest
from tests.unit.contract.conftest import Write, field, record, write_schema

from tillroll.contract.avro_types import parse_record
from tillroll.contract.registry import ANY_TOPIC, Contract, TopicSpec, load_contract
from tillroll.contract.source import pinned_ids, read_pins
from tillroll.errors import ContractError

PLACE = [field("sku", "string"), field("location_id", "string")]
MOVED = [*PLACE, field("quantity", "long")]
MOVED_2 = [*MOVED, field("reason", ["null", "string"], default=None)]
# Events that design.md 3 and domain.md 5 ask for, by topic.
TYPES = {
    "orders": """OrderPlaced OrderLineAdded OrderLineCancelled OrderHeld OrderReleased OrderDetailsChanged LineSourced
        LineRejected LineSubstituted ParcelShipped ParcelDelivered PickupReady PickupCollected PickupLapsed
        PaymentAuthorized PaymentCaptured PaymentVoided RefundIssued RefundReversed TransactionVoided""",
    "returns": "ReturnRequested ReturnReceived ReturnDispositioned ExchangeLinked",
    "stock": """StockReceived StockAdjusted StockCounted TransferShipped TransferReceived TransferClosed
        ReservationMade ReservationReleased ReservationExpired SafetyStockSet""",
    "customers": """IdentityLinked IdentityUnlinked ConsentChanged StockAlertRequested StockAlertCancelled
        ErasureRequested""",
    "locations": "LocationDescribed",
    "products": "ProductDescribed",
    ANY_TOPIC: "EventCorrected",
}


@pytest.mark.parametrize("topic", TYPES)
def test_every_event_type_of_the_design_is_there_and_no_other(topic: str) -> None:
    contract = load_contract()
    assert {r for r in contract.records if contract.latest(r).topic == topic} == set(TYPES[topic].split())


def test_an_event_that_may_stand_on_every_topic_is_looked_for_on_all() -> None:
    contract = load_contract()
    assert contract.topics_of(["StockReceived", "OrderPlaced", "StockCounted"]) == ["orders", "stock"]
    assert contract.topics_of(["StockReceived", "EventCorrected"]) == sorted(contract.topics)


def test_packaged_topics_keep_history_for_ever_in_four_partitions_or_one() -> None:
    topics = load_contract().topics
    assert {name: spec.partitions for name, spec in topics.items()} == {
        "orders": 4, "returns": 4, "stock": 4, "customers": 4, "locations": 1, "products": 1,
    }  # fmt: skip
    assert {spec.retention_ms for spec in topics.values()} == {-1}
    assert {name for name, spec in topics.items() if spec.needs_business_date} == {"orders", "returns"}


def test_the_newest_version_stands_in_front_of_its_history(contract_folder: Write) -> None:
    contract = Contract.from_directory(contract_folder({"stock/Moved": [MOVED, MOVED_2]}))
    old, new = contract.versions("Moved")
    assert (old.version, new.version) == (1, 2)
    assert "reason" not in [f.name for f in old.type.fields]
    assert contract.latest("Moved") is new
    assert new.type.fields[-1].name == "reason"


def test_a_version_is_found_by_id_by_fingerprint_and_by_prefix(contract_folder: Write) -> None:
    contract = Contract.from_directory(contract_folder({"stock/Moved": [MOVED, MOVED_2]}))
    for schema in contract.versions("Moved"):
        assert contract.by_id[schema.id] is contract.by_fingerprint[schema.fingerprint] is schema
        assert schema.prefix == struct.pack(">bI", 0, schema.id)
        assert contract.by_prefix(schema.prefix) is schema
        assert contract.by_prefix(b"\xc3\x01" + schema.fingerprint) is schema
    assert contract.by_prefix(b"\0\0\0\0\0") is None


def test_a_record_that_is_not_there_is_named() -> None:
    with pytest.raises(ContractError, match="no record 'OrderMangled'"):
        load_contract().latest("OrderMangled")


def test_what_decoders_are_given_has_neither_docs_nor_uuids_and_the_same_fields() -> None:
    for name in load_contract().records:
        schema = load_contract().latest(name)
        assert '"doc"' not in schema.decoding
        assert "uuid" not in schema.decoding
        assert [f["name"] for f in json.loads(schema.decoding)["fields"]] == [
            f.name for f in schema.type.fields
        ]
        assert "timestamp-micros" in schema.decoding


def test_a_default_named_doc_is_kept(contract_folder: Write) -> None:
    labels = field("labels", {"type": "map", "values": "string"}, default={"doc": "x"})
    contract = Contract.from_directory(contract_folder({"stock/Moved": [[*MOVED, labels]]}))
    assert json.loads(contract.latest("Moved").decoding)["fields"][-1]["default"] == {"doc": "x"}


# --- ids -----------------------------------------------------------------------------------------------


def test_a_new_version_gets_the_next_id_and_the_others_keep_theirs(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Lost": [MOVED]})
    before = read_pins(folder)
    write_schema(folder, "stock/Moved", record("Moved", MOVED), record("Moved", MOVED_2))
    (folder / "ids.toml").write_text(pinned_ids(folder))
    after = read_pins(folder)
    assert after.items() >= before.items()
    assert after["Moved", 2].id == 1 + max(pin.id for pin in before.values())


def test_an_id_is_not_given_again_when_its_schema_is_gone(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Lost": [MOVED]})
    gone = read_pins(folder)["Moved", 1].id
    (folder / "stock" / "Moved.avsc").unlink()
    write_schema(folder, "stock/Found", record("Found", MOVED))
    (folder / "ids.toml").write_text(pinned_ids(folder))
    assert read_pins(folder)["Found", 1].id > gone
    assert Contract.from_directory(folder).lost == (("Moved", 1),)


def test_pinning_anew_changes_nothing(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED, MOVED_2], "notes/Said": [[field("id", "string")]]})
    assert pinned_ids(folder) == (folder / "ids.toml").read_text()


def test_a_version_without_id_says_what_to_run(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    write_schema(folder, "stock/Moved", record("Moved", MOVED), record("Moved", MOVED_2))
    with pytest.raises(ContractError, match=r"Moved.avsc: version 2 has no id .* `tillroll schema generate`"):
        Contract.from_directory(folder)


def test_two_versions_with_one_id_are_refused(contract_folder: Write) -> None:
    folder = contract_folder({"stock/Moved": [MOVED], "stock/Lost": [MOVED]})
    ids = (folder / "ids.toml").read_text()
    (folder / "ids.toml").write_text(ids.replace("id = 2", "id = 1"))
    with pytest.raises(ContractError, match=r"Lost\.v1 and Moved\.v1 share id 1"):
        Contract.from_directory(folder)


# --- files that are wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("ids.toml", "[Moved]\nv1 = 7\n", r"ids.toml: Moved.v1 is not v<N>"),
        ("ids.toml", '[Moved]\nv1 = { id = "7", fingerprint = "", digest = "" }\n', r"Moved.v1 is not v<N>"),
        ("ids.toml", '[Moved]\nv1 = { id = 7, fingerprint = "x", digest = "" }\n', r"Moved.v1 is not v<N>"),
        ("ids.toml", "Moved = 1\n", r"ids.toml: Moved.\? is not v<N>"),
        ("ids.toml", "[[[", "ids.toml: "),
        ("topics.toml", "[stock]\npartitions = 4\n", "topics.toml: topic stock: doc is missing"),
        (
            "topics.toml",
            "[other]\npartitions = 1\nkey = [['id']]\nretention_ms = -1\ndoc = ''\n",
            "stands in stock/",
        ),
        ("stock/Moved.avsc", "{", "Moved.avsc: "),
        ("stock/Moved.avsc", "[]", "Moved.avsc: a schema of the contract is one Avro record"),
        ("stock/history/Moved.vX.avsc", "{}", "Moved.vX.avsc: an older version is named"),
    ],
)
def test_a_file_that_is_wrong_is_named(contract_folder: Write, file: str, text: str, said: str) -> None:
    folder = contract_folder({"stock/Moved": [MOVED]})
    (folder / file).write_text(text)
    with pytest.raises(ContractError, match=said):
        Contract.from_directory(folder)


def test_a_folder_without_a_contract_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"ids\.toml"):
        Contract.from_directory(tmp_path)


# --- keys ----------------------------------------------------------------------------------------------

REFUND = TopicSpec("orders", key=(("order_id", "return_id", "refund_id"),))
CUSTOMER = TopicSpec(
    "customers", key=(("reference.kind", "a.kind"), ("reference.value", "a.value")), separator=":"
)


@pytest.mark.parametrize(
    ("spec", "event", "key"),
    [
        (REFUND, {"order_id": "o1", "return_id": "r1", "refund_id": "f1"}, "o1"),
        (REFUND, {"order_id": None, "return_id": "r1", "refund_id": "f1"}, "r1"),
        (REFUND, {"order_id": None, "return_id": None, "refund_id": "f1"}, "f1"),
        (TopicSpec("stock", key=(("sku",), ("location_id",))), {"sku": "s", "location_id": "l"}, "s|l"),
        (CUSTOMER, {"reference": {"kind": "account", "value": "7"}}, "account:7"),
        (
            CUSTOMER,
            {"a": {"kind": "device", "value": "d"}, "b": {"kind": "account", "value": "7"}},
            "device:d",
        ),
    ],
)
def test_a_key_is_made_of_the_first_fields_that_are_there(
    spec: TopicSpec, event: dict[str, object], key: str
) -> None:
    assert spec.key_of(event) == key


def test_an_event_without_any_field_of_the_key_is_refused() -> None:
    with pytest.raises(ContractError, match="topic orders: none of order_id, return_id, refund_id"):
        REFUND.key_of({"order_id": None, "sku": "s"})


# --- types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("bytes", "type 'bytes' is not allowed"),
        ("float", "type 'float' is not allowed"),
        ({"type": "fixed", "name": "F", "size": 4}, "type 'fixed' is not allowed"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9}, "decimal on bytes is not allowed"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "timestamp-millis on long is not allowed"),
        (["string", "null"], 'the only union allowed is \\["null", type\\]'),
        (["null", "string", "long"], "the only union allowed"),
        (["null", ["null", "string"]], "a union inside a union"),
        ({"type": "record", "name": "Empty", "fields": []}, "a record needs at least one field"),
        ({"type": "enum", "name": "E", "symbols": ["A", "A"]}, "an enum needs symbols, each once"),
        ({"type": "enum", "name": "E", "symbols": []}, "an enum needs symbols"),
        ({"type": "enum", "name": "E", "namespace": "other", "symbols": ["A"]}, "a plain name in the namespace"),
        ({"type": "array", "items": "Holder"}, "type 'Holder' is not allowed"),
        ({"type": "array", "items": {"type": "record", "name": "N", "fields": [{"name": "f", "type": "N"}]}}, "'N'"),
        (7, "7 is no Avro type"),
        ({}, "None is no Avro type"),
    ],
)  # fmt: skip
def test_types_that_the_fast_decoder_does_not_know_are_refused_with_their_place(
    type_: object, said: str
) -> None:
    schema = {"type": "record", "name": "Holder", "fields": [{"name": "held", "type": type_}]}
    with pytest.raises(ContractError, match=rf"Holder\.held.*: .*{said}"):
        parse_record(schema)


def test_a_named_type_may_be_used_again_but_not_defined_again() -> None:
    pair = {"type": "record", "name": "Pair", "fields": [{"name": "x", "type": "long"}]}
    fields: list[dict[str, object]] = [
        {"name": "a", "type": pair},
        {"name": "b", "type": "Pair"},
        {"name": "c", "type": "tillroll.Pair"},
    ]
    found = parse_record({"type": "record", "name": "Holder", "fields": fields})
    assert found.fields[0].type == found.fields[1].type == found.fields[2].type
    with pytest.raises(ContractError, match="Pair is defined twice"):
        parse_record({"type": "record", "name": "Holder", "fields": [fields[0], fields[1] | {"type": pair}]})


@pytest.mark.parametrize("schema", ["string", [], {"type": "enum", "name": "E", "symbols": ["A"]}])
def test_a_schema_that_is_no_record_is_refused(schema: object) -> None:
    with pytest.raises(ContractError, match="one Avro record"):
        parse_record(schema)
