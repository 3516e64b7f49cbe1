"""What is in the contract: every version of every record with its id, and the topics.

A contract is a folder: `topics.toml`, `ids.toml`, `<topic>/<Record>.avsc` for the newest version of a record and
`<topic>/history/<Record>.v<N>.avsc` for those before it. Ids are pinned in `ids.toml` and never used again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from tillroll.contract.avro_types import RecordType, parse_record
from tillroll.contract.source import (
    Pin,
    decoding_of,
    digest_of,
    fingerprint_of,
    read_pins,
    read_toml,
    schema_files,
)
from tillroll.contract.upcasters import UPCASTERS, Upcaster, last_record
from tillroll.errors import ContractError

__all__ = ["ANY_TOPIC", "VOID", "Contract", "EventSchema", "TopicSpec", "load_contract"]

ANY_TOPIC = "any"
"""Folder, and `topic`, of records that may stand on every topic."""

VOID = "TransactionVoided"
"""The record of events that take others back, whose effects every projection counts with weight -1."""

CONFLUENT = b"\x00"
SINGLE_OBJECT = b"\xc3\x01"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as topics.toml describes it.

    key: for each part of the record key the fields to take it from, the first that the record has and that is not
    null; `a.b` is field b of record a. retention_ms: -1 = for ever. Append time, no compaction, always.
    """

    name: str
    partitions: int = 1
    key: tuple[tuple[str, ...], ...] = ()
    retention_ms: int = -1
    separator: str = "|"
    needs_business_date: bool = False
    doc: str = ""

    def key_of(self, event: Mapping[str, Any]) -> str:
        """The record key of an event on this topic. Raises ContractError when no field of a part is there."""
        return self.separator.join(self._part(event, choice) for choice in self.key)

    def _part(self, event: Mapping[str, Any], choice: tuple[str, ...]) -> str:
        for path in choice:
            found: Any = event
            for name in path.split("."):
                found = found.get(name) if isinstance(found, Mapping) else None
            if found is not None:
                return str(found)
        raise ContractError(f"topic {self.name}: none of {', '.join(choice)} is there to make the key of")


@dataclass(frozen=True, eq=False)
class EventSchema:
    """One version of one record. Compared by identity: a contract holds each version once.

    avro: the .avsc as JSON values. topic: ANY_TOPIC if it may stand on every one.
    """

    id: int
    record: str
    version: int
    topic: str
    avro: dict[str, Any]
    pin: Pin

    @cached_property
    def prefix(self) -> bytes:
        """What a value in Confluent's wire format begins with: 0x00 and the id, big endian, 5 bytes."""
        return CONFLUENT + self.id.to_bytes(4)

    @cached_property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO, 8 bytes little endian, as single-object encoding has it after 0xC3 0x01.

        That of the pin while the schema is what was pinned: fastavro takes half a millisecond for one, and a
        contract has dozens.
        """
        pinned = self.digest == self.pin.digest
        return bytes.fromhex(self.pin.fingerprint if pinned else fingerprint_of(self.avro))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all but the docs, cut to 16 digits: what must not change under an id."""
        return digest_of(self.avro)

    @cached_property
    def decoding(self) -> str:
        """The schema as JSON for native decoders: no docs, and ids as the plain strings that they stand as."""
        return decoding_of(self.avro)

    @cached_property
    def type(self) -> RecordType:
        """The record as a value. Raises ContractError when it uses what the contract does not allow."""
        return parse_record(self.avro)

    @property
    def name(self) -> str:
        """Record and version, as messages name it."""
        return f"{self.record} version {self.version}"


class Contract:
    """All versions of all records, by id, by fingerprint, by record; and the topics."""

    def __init__(
        self,
        schemas: Iterable[EventSchema],
        topics: Iterable[TopicSpec],
        upcasters: Mapping[str, Upcaster] = UPCASTERS,
        pinned: Iterable[tuple[str, int]] = (),
    ):
        """pinned: (record, version) of all that ever had an id.

        Raises ContractError when two versions share an id, two records a fingerprint, or a record has no topic or two.
        """
        self.topics: Mapping[str, TopicSpec] = {topic.name: topic for topic in topics}
        self.by_id: dict[int, EventSchema] = {}
        self.by_fingerprint: dict[bytes, EventSchema] = {}
        self.upcasters = upcasters
        self._versions: dict[str, list[EventSchema]] = {}
        for schema in sorted(schemas, key=lambda s: (s.record, s.version)):
            self._add(schema)
        self.lost = tuple(sorted(set(pinned) - {(s.record, s.version) for s in self.by_id.values()}))
        """Versions that have an id and no schema any more; `tillroll schema check` reports them."""
        self._by_prefix = {s.prefix: s for s in self.by_id.values()} | {
            SINGLE_OBJECT + fingerprint: s for fingerprint, s in self.by_fingerprint.items()
        }

    @classmethod
    def from_directory(cls, path: Path, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> "Contract":
        """The contract in the folder `path`. Raises ContractError naming the file that is missing or wrong."""
        pins = read_pins(path)
        return cls(_read_schemas(path, pins), _read_topics(path), upcasters, pins)

    @property
    def records(self) -> tuple[str, ...]:
        """Names of all records, sorted."""
        return tuple(self._versions)

    def versions(self, record: str) -> tuple[EventSchema, ...]:
        """All versions of `record`, oldest first. Raises ContractError for a record that is not there."""
        if record not in self._versions:
            raise ContractError(f"the contract has no record {record!r}; `tillroll schema list` names them")
        return tuple(self._versions[record])

    def latest(self, record: str) -> EventSchema:
        """The newest version of `record`. Raises ContractError for a record that is not there."""
        return self.versions(record)[-1]

    def topics_of(self, records: Iterable[str]) -> list[str]:
        """The topics in which events of these records may stand, sorted. Raises ContractError as `latest`."""
        topics = {self.latest(record).topic for record in records}
        return sorted(self.topics if ANY_TOPIC in topics else topics)

    def by_prefix(self, prefix: bytes) -> EventSchema | None:
        """The version whose values begin with `prefix`, 5 bytes (Confluent) or 10 (single object); else None."""
        return self._by_prefix.get(prefix)

    def newest_record(self, record: str) -> str:
        """The record that events of `record` are upcast to; itself where it was never replaced."""
        return last_record(record, self.upcasters)

    def _add(self, schema: EventSchema) -> None:
        if (other := self.by_id.get(schema.id)) is not None:
            raise ContractError(f"{schema.name} and {other.name} share id {schema.id}; each has its own")
        # Versions that differ in defaults only share a fingerprint; their values are the same, and read as the newest.
        other = self.by_fingerprint.get(schema.fingerprint)
        if other is not None and other.record != schema.record:
            raise ContractError(f"{schema.name} and {other.name} share a fingerprint; name each as its file")
        if schema.topic not in self.topics and schema.topic != ANY_TOPIC:
            raise ContractError(f"{schema.name} stands in {schema.topic}/, but topics.toml has no such topic")
        self.by_id[schema.id] = self.by_fingerprint[schema.fingerprint] = schema
        self._versions.setdefault(schema.record, []).append(schema)


@cache
def load_contract() -> Contract:
    """The packaged contract, read once per process."""
    with as_file(files("tillroll.schemas")) as directory:
        return Contract.from_directory(directory)


def _read_schemas(directory: Path, pins: Mapping[tuple[str, int], Pin]) -> Iterator[EventSchema]:
    topics: dict[str, str] = {}
    for file in schema_files(directory):
        if (topic := topics.setdefault(file.record, file.topic)) != file.topic:
            raise ContractError(
                f"{file.path}: {file.record} stands in {topic}/ already; a record has one place"
            )
        pin = pins.get((file.record, file.version))
        if pin is None:
            raise ContractError(
                f"{file.path}: version {file.version} has no id in ids.toml; run `tillroll schema generate`"
            )
        yield EventSchema(pin.id, file.record, file.version, file.topic, file.avro, pin)


def _read_topics(directory: Path) -> Iterator[TopicSpec]:
    """The topics of topics.toml, in its order."""
    path = directory / "topics.toml"
    for name, told in read_toml(path).items():
        if (fault := _topic_fault(told)) is not None:
            raise ContractError(f"{path}: topic {name}: {fault}")
        yield TopicSpec(
            name,
            told["partitions"],
            tuple(tuple(choice) for choice in told["key"]),
            told["retention_ms"],
            told.get("separator", "|"),
            told.get("business_date") == "required",
            told["doc"],
        )


_TOPIC: Mapping[str, type] = {"doc": str, "partitions": int, "key": list, "retention_ms": int}
_TOPIC_OPTIONAL: Mapping[str, type] = {"separator": str, "business_date": str}


def _topic_fault(told: Any) -> str | None:
    if not isinstance(told, dict):
        return "is no table"
    known = {**_TOPIC, **_TOPIC_OPTIONAL}
    for name in [*_TOPIC, *told]:
        if name not in told:
            return f"{name} is missing"
        if name not in known or type(told[name]) is not known[name]:
            return f"{name} = {told[name]!r} is unknown or of the wrong type"
    if told["partitions"] < 1 or told["retention_ms"] < -1:
        return "partitions are 1 or more, retention_ms is -1 (for ever) or more"
    if not told["key"] or not all(_is_choice(choice) for choice in told["key"]):
        return f'key = {told["key"]!r} is not a list of lists of fields, such as [["sku"], ["location_id"]]'
    if told.get("business_date", "required") != "required":
        return 'business_date is "required" or left out'
    return None


def _is_choice(choice: Any) -> bool:
    return (
        isinstance(choice, list) and bool(choice) and all(isinstance(name, str) and name for name in choice)
    )
