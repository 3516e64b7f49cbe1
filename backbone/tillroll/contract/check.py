"""The rules of the contract (domain.md 5), and what a change to it breaks.

Versions of one record are FULL_TRANSITIVE: each can be read by each, older or newer, as Apache Avro's own
checker has it. A change that cannot be is a new record with an upcaster.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tillroll.contract.avro_types import (
    ArrayType,
    AvroType,
    EnumType,
    Nullable,
    Primitive,
    RecordType,
    children,
)
from tillroll.contract.compatibility import incompatibilities
from tillroll.contract.envelope import ENVELOPE, envelope_fault
from tillroll.contract.registry import ANY_TOPIC, Contract, EventSchema, TopicSpec
from tillroll.contract.source import pin_of
from tillroll.errors import ContractError

__all__ = ["Finding", "Readers", "check_contract"]

Readers = Mapping[str, Collection[str]]
"""For each record the names of the projections that read it."""

COORDINATES = frozenset(("latitude", "longitude"))


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a record breaks. breaks: the projections that read the record and may go wrong by it."""

    record: str
    version: int
    problem: str
    breaks: tuple[str, ...] = ()

    def __str__(self) -> str:
        breaks = f"; breaks {', '.join(self.breaks)}" if self.breaks else ""
        return f"{self.record} version {self.version}: {self.problem}{breaks}"


def check_contract(contract: Contract, readers: Readers) -> list[Finding]:
    """Every rule that is broken, by record and version; none for a sound contract."""
    out = [
        Finding(record, version, _GONE, tuple(sorted(readers.get(record, ()))))
        for record, version in contract.lost
    ]
    for record in contract.records:
        out += _check_record(contract, record, tuple(sorted(readers.get(record, ()))))
    return out + list(_names(contract))


_GONE = "its schema is gone, but events of it may be in a log: put it back into history/"
_EDITED = "was edited after its id was pinned: restore it and make the change a new version"


def _check_record(contract: Contract, record: str, readers: tuple[str, ...]) -> Iterator[Finding]:
    versions = contract.versions(record)
    for schema in versions:
        if _is_edited(schema):
            yield Finding(record, schema.version, _EDITED, readers)
        for problem in _problems(schema, contract):
            yield Finding(record, schema.version, problem)
    for old, new in itertools.combinations(versions, 2):
        for problem in incompatibilities(old, new):
            yield Finding(record, new.version, f"against version {old.version}: {problem}", readers)


def _is_edited(schema: EventSchema) -> bool:
    return schema.pin != pin_of(schema.avro, schema.id)


def _problems(schema: EventSchema, contract: Contract) -> Iterator[str]:
    try:
        record = schema.type
    except ContractError as error:
        yield str(error)
        return
    if record.name != schema.record:
        yield f"is named {record.name} inside; file and record have one name"
    if (fault := envelope_fault(record)) is not None:
        yield fault
    yield from _undocumented(record, record.name)
    yield from _stray_doubles(record)
    yield from _hidden_fields(record)
    if (topic := contract.topics.get(schema.topic)) is not None:
        yield from _keyless(record, topic)
    elif schema.topic != ANY_TOPIC:
        yield f"stands in {schema.topic}/, but topics.toml has no such topic"


def _undocumented(type_: AvroType, where: str) -> Iterator[str]:
    if isinstance(type_, RecordType | EnumType) and not type_.doc.strip():
        yield f"{where} has no doc"
    if isinstance(type_, RecordType):
        for field in type_.fields:
            if not field.doc.strip():
                yield f"{where}.{field.name} has no doc"
            yield from _undocumented(field.type, f"{where}.{field.name}")
    else:
        for child in children(type_):
            yield from _undocumented(child, where)


def _stray_doubles(record: RecordType) -> Iterator[str]:
    for field in record.fields:
        if _holds_double(field.type) and field.name not in COORDINATES:
            yield f"{field.name} is a double; money is minor units, quantities are whole, only coordinates are not"


def _holds_double(type_: AvroType) -> bool:
    return type_ is Primitive.DOUBLE or any(map(_holds_double, children(type_)))


def _hidden_fields(record: RecordType) -> Iterator[str]:
    """`Frame.lines` puts the fields of a line beside the event's, so they must not share a name."""
    names = {field.name for field in record.fields}
    lines = next((field.type for field in record.fields if field.name == "lines"), None)
    if isinstance(lines, ArrayType) and isinstance(lines.items, RecordType):
        for field in lines.items.fields:
            if field.name in names:
                yield f"lines.{field.name} has the name of a field of the event; rename one"


def _keyless(record: RecordType, topic: TopicSpec) -> Iterator[str]:
    for choice in topic.key:
        found = [_at(record, path) for path in choice]
        if not any(found_type is not None and not isinstance(found_type, Nullable) for found_type in found):
            yield f"has none of {', '.join(choice)} for sure, of which topic {topic.name} makes its key"


def _at(type_: AvroType, path: str) -> AvroType | None:
    name, _, rest = path.partition(".")
    fields = type_.fields if isinstance(type_, RecordType) else ()
    found = next((field.type for field in fields if field.name == name), None)
    return found if found is None or not rest else _at(found, rest)


def _names(contract: Contract) -> Iterator[Finding]:
    """One name means one thing in all records, and one envelope field is described in one way."""
    first: dict[str, tuple[object, str]] = {}
    for schema in map(contract.latest, contract.records):
        try:
            record = schema.type
        except ContractError:
            continue  # a finding already
        parts: dict[str, object] = {part.name: part for part in _parts(record)}
        parts |= {f.name: f.doc for f in record.fields[: len(ENVELOPE)]}
        for name, part in parts.items():
            other, owner = first.setdefault(name, (part, schema.record))
            if other != part:
                yield Finding(schema.record, schema.version, f"{name} is not what it is in {owner}")


def _parts(type_: AvroType) -> Iterator[RecordType | EnumType]:
    for child in children(type_):
        if isinstance(child, RecordType | EnumType):
            yield child
        yield from _parts(child)
