"""Whether two versions of a record read each other: Apache Avro's checker, and what it does not look at."""

from collections.abc import Iterator
from functools import cache

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse

from tillroll.contract.avro_types import ArrayType, AvroType, MapType, Nullable, Primitive, RecordType
from tillroll.contract.registry import EventSchema
from tillroll.errors import ContractError

__all__ = ["incompatibilities"]


def incompatibilities(old: EventSchema, new: EventSchema) -> list[str]:
    """Why versions `old` and `new` of a record are not fully compatible, one sentence each; empty if they are."""
    try:
        meanings = list(_other_meanings(old.type, new.type, new.record))
    except ContractError:
        return []  # a type that is not allowed is a finding of its own
    return [
        *_unreadable(reader=new, writer=old, who="readers of this version cannot read the older one"),
        *_unreadable(reader=old, writer=new, who="readers of the older version cannot read this one"),
        *meanings,
    ]


def _unreadable(reader: EventSchema, writer: EventSchema, who: str) -> Iterator[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    found = checker.get_compatibility(_parsed(reader), _parsed(writer))
    if found.compatibility is not SchemaCompatibilityType.compatible:
        yield f"{who}: {'; '.join(sorted(found.messages))} at {', '.join(sorted(found.locations))}"


@cache
def _parsed(schema: EventSchema) -> Schema:
    return parse(schema.decoding)


def _other_meanings(old: AvroType, new: AvroType, where: str) -> Iterator[str]:
    """Fields that Avro reads into each other although they mean different things: a long and a time."""
    if isinstance(old, Primitive) and isinstance(new, Primitive):
        if old is not new:
            yield f"{where} was {old.value} and is {new.value}"
    elif isinstance(old, RecordType) and isinstance(new, RecordType):
        before = {field.name: field.type for field in old.fields}
        for field in new.fields:
            if field.name in before:
                yield from _other_meanings(before[field.name], field.type, f"{where}.{field.name}")
    else:
        for one, other in zip(_inner(old), _inner(new), strict=False):
            yield from _other_meanings(one, other, where)


def _inner(type_: AvroType) -> tuple[AvroType, ...]:
    match type_:
        case Nullable():
            return (type_.inner,)
        case ArrayType():
            return (type_.items,)
        case MapType():
            return (type_.values,)
    return ()
