"""The contract as loaded from its files: which schema has which id, and which topic carries what.

schemas/<topic>/<EventType>.avsc               the newest version of a record
schemas/<topic>/history/<EventType>.v<N>.avsc  its earlier versions, kept for good
schemas/ids.toml                               every version's pinned id and fingerprint
schemas/topics.toml                            partitions, key and retention of every topic
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import fastavro

from tillroll.errors import ContractError

__all__ = ["Contract", "EventSchema", "TopicSpec", "load_contract"]

ALGORITHM = "CRC-64-AVRO"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic: its partitions, how long it keeps events (ms, -1 = for ever) and what its key is made of.

    key: one tuple of alternatives per part; the first alternative that is not null counts.
    """

    name: str
    partitions: int
    key: tuple[tuple[str, ...], ...]
    retention_ms: int = -1
    doc: str = ""


@dataclass(frozen=True)
class EventSchema:
    """One version of one record."""

    id: int
    record: str
    version: int
    topic: str
    avro: dict[str, Any] = field(repr=False)

    @property
    def prefix(self) -> bytes:
        """Confluent's wire format: a zero byte and the id, four bytes, big endian."""
        return b"\x00" + self.id.to_bytes(4)

    @cached_property
    def decoding(self) -> str:
        """The schema as decoders are given it: no documentation, ids as plain strings."""
        return json.dumps(_plain(self.avro))

    @cached_property
    def parsed(self) -> Any:
        """fastavro's own form of `decoding`."""
        return fastavro.parse_schema(json.loads(self.decoding))

    @cached_property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, 8 bytes little endian, as single-object encoding has it."""
        canonical = fastavro.schema.to_parsing_canonical_form(self.avro)
        return bytes.fromhex(fastavro.schema.fingerprint(canonical, ALGORITHM))


@dataclass(frozen=True)
class Contract:
    """Every version of every record, and the topics."""

    schemas: tuple[EventSchema, ...]
    topics: Mapping[str, TopicSpec]

    @classmethod
    def from_directory(cls, folder: Path | Traversable) -> "Contract":
        """Read a folder of schemas. Raises ContractError naming the file that is wrong."""
        ids = _ids(folder)
        topics = {spec.name: spec for spec in _topics(folder)}
        schemas = [schema for topic in topics for schema in _schemas(folder, topic, ids)]
        return cls(tuple(sorted(schemas, key=lambda schema: schema.id)), topics)

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Names of all records, sorted."""
        return tuple(sorted({schema.record for schema in self.schemas}))

    @cached_property
    def by_id(self) -> dict[int, EventSchema]:
        """Schemas by pinned id."""
        return {schema.id: schema for schema in self.schemas}

    @cached_property
    def by_fingerprint(self) -> dict[bytes, EventSchema]:
        """Schemas by the fingerprint of single-object encoding."""
        return {schema.fingerprint: schema for schema in self.schemas}

    @cached_property
    def _by_prefix(self) -> dict[bytes, EventSchema]:
        single = {b"\xc3\x01" + print_: schema for print_, schema in self.by_fingerprint.items()}
        return single | {schema.prefix: schema for schema in self.schemas}

    def by_prefix(self, prefix: bytes) -> EventSchema | None:
        """The schema that wire-format bytes beginning with `prefix` (5 or 10 bytes) name; None if unknown."""
        return self._by_prefix.get(prefix)

    def versions(self, record: str) -> tuple[EventSchema, ...]:
        """All versions of `record`, oldest first. Raises ContractError when there is no such record."""
        found = [schema for schema in self.schemas if schema.record == record]
        if not found:
            raise ContractError(f"the contract has no event type {record!r}; see `tillroll schema list`")
        return tuple(sorted(found, key=lambda schema: schema.version))

    def latest(self, record: str) -> EventSchema:
        """The newest version of `record`."""
        return self.versions(record)[-1]


@cache
def load_contract() -> Contract:
    """The contract that ships with tillroll."""
    return Contract.from_directory(files("tillroll.schemas"))


def _plain(avro: Any) -> Any:
    """`avro` without documentation and without the uuid annotation, which the fast decoder does not know."""
    if isinstance(avro, list):
        return [_plain(branch) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    if avro.get("logicalType") == "uuid":
        return avro["type"]
    return {
        key: _plain(value) if key in ("type", "items", "values", "fields") else value
        for key, value in avro.items()
        if key != "doc"
    }


def _ids(folder: Path | Traversable) -> dict[tuple[str, int], int]:
    rows = tomllib.loads(_text(folder, "ids.toml"))["schema"]
    return {(row["record"], row["version"]): row["id"] for row in rows}


def _topics(folder: Path | Traversable) -> Iterator[TopicSpec]:
    for name, row in tomllib.loads(_text(folder, "topics.toml")).items():
        key = tuple(tuple(part) if isinstance(part, list) else (part,) for part in row["key"])
        yield TopicSpec(name, row["partitions"], key, row.get("retention_ms", -1), row.get("doc", ""))


def _schemas(
    folder: Path | Traversable, topic: str, ids: Mapping[tuple[str, int], int]
) -> Iterator[EventSchema]:
    home = folder / topic
    older = home / "history"
    names = [*_avsc(home), *(_avsc(older) if older.is_dir() else ())]
    past: dict[str, int] = {}
    for file in (f for f in names if ".v" in f.name):
        record, version = file.name.removesuffix(".avsc").rsplit(".v", 1)
        past[record] = max(past.get(record, 0), int(version))
        yield _schema(file, record, int(version), topic, ids)
    for file in (f for f in names if ".v" not in f.name):
        record = file.name.removesuffix(".avsc")
        yield _schema(file, record, past.get(record, 0) + 1, topic, ids)


def _avsc(folder: Path | Traversable) -> list[Path | Traversable]:
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".avsc")), key=lambda file: file.name
    )


def _schema(
    file: Path | Traversable, record: str, version: int, topic: str, ids: Mapping[tuple[str, int], int]
) -> EventSchema:
    if (record, version) not in ids:
        raise ContractError(f"{file.name}: version {version} of {record} has no id; pin one in ids.toml")
    try:
        avro = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ContractError(f"{file.name} is not JSON: {error}") from None
    return EventSchema(ids[record, version], record, version, topic, avro)


def _text(folder: Path | Traversable, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"the contract in {folder} has no {name}: {error}") from None
