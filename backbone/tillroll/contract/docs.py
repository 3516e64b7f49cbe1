"""The contract as one page of Markdown, for people who publish events or read them."""

from collections.abc import Iterable, Iterator

from tillroll.contract.avro_types import (
    NO_DEFAULT,
    ArrayType,
    AvroType,
    EnumType,
    Field,
    MapType,
    Nullable,
    Primitive,
    RecordType,
    children,
)
from tillroll.contract.envelope import ENVELOPE, own_fields
from tillroll.contract.registry import ANY_TOPIC, Contract, EventSchema, TopicSpec

__all__ = ["contract_page"]

HEAD = """# The contract

<!-- Made from the schemas by `tillroll schema docs`; change those instead. -->

Every event that tillroll knows: where it stands in the log, under which key, and what each field means. The source
are the Avro schemas in `schemas/`. An event stands in the log in Confluent's wire format: a zero byte, the id of its
schema as four bytes big endian, and the Avro encoding of its fields; Avro's single-object encoding is read as well.
Ids are pinned for ever, and all versions of a record read each other."""

FIELDS = ("field", "type", "default", "meaning")


def contract_page(contract: Contract) -> str:
    """The page, ending in a line break; the same contract always gives the same text.

    Topics and keys come first, then the envelope, the records by topic, and what records are made of. Raises
    ContractError for schemas that use what the contract does not allow.
    """
    newest = [contract.latest(record) for record in contract.records]
    sections = [HEAD, _topics(contract.topics.values()), _envelope(newest)]
    for topic in [*contract.topics, ANY_TOPIC]:
        sections += _records(topic, [schema for schema in newest if schema.topic == topic], contract)
    sections += _parts(newest)
    return "\n\n".join(sections) + "\n"


def _topics(topics: Iterable[TopicSpec]) -> str:
    head = ("topic", "key", "partitions", "retention", "book day", "what stands there")
    rows = [
        (
            _link(topic.name),
            _key(topic),
            str(topic.partitions),
            "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms:,} ms",
            "required" if topic.needs_business_date else "if known",
            topic.doc,
        )
        for topic in topics
    ]
    note = (
        "Times of record are the log's (append time), and no topic is compacted. A key is made of the values of the "
        "fields named; of several fields with *or* between them, the first that is not null counts."
    )
    return f"## Topics\n\n{_table(head, rows)}\n\n{note}"


def _key(topic: TopicSpec) -> str:
    return f" `{topic.separator}` ".join(" or ".join(f"`{name}`" for name in choice) for choice in topic.key)


def _envelope(schemas: list[EventSchema]) -> str:
    fields = schemas[0].type.fields[: len(ENVELOPE)] if schemas else ()
    return f"## Envelope\n\nThe first fields of every event.\n\n{_field_table(fields)}"


def _records(topic: str, schemas: list[EventSchema], contract: Contract) -> Iterator[str]:
    if schemas:
        yield f"## {topic}\n\n{_introduction(topic, contract)}"
    for schema in schemas:
        ids = ", ".join(
            f"version {version.version} has id {version.id}" for version in contract.versions(schema.record)
        )
        later = contract.newest_record(schema.record)
        given_up = f" Given up; its events are read as {_link(later)}." if later != schema.record else ""
        own = own_fields(schema.type)
        table = f"\n\n{_field_table(own)}" if own else ""
        yield f"### {schema.record}\n\n{schema.type.doc}{given_up}\n\nBehind the envelope; {ids}.{table}"


def _introduction(topic: str, contract: Contract) -> str:
    if topic == ANY_TOPIC:
        return "May stand on every topic, beside the event that it is about and under its key."
    return contract.topics[topic].doc


def _parts(schemas: Iterable[EventSchema]) -> Iterator[str]:
    parts = {part.name: part for schema in schemas for part in _inside(schema.type)}
    if parts:
        yield "## Parts\n\nRecords and closed vocabularies inside of events."
    for name in sorted(parts):
        part = parts[name]
        body = _symbols(part) if isinstance(part, EnumType) else _field_table(part.fields)
        yield f"### {name}\n\n{part.doc}\n\n{body}"


def _inside(type_: AvroType) -> Iterator[RecordType | EnumType]:
    for child in children(type_):
        if isinstance(child, RecordType | EnumType):
            yield child
        yield from _inside(child)


# --- Markdown ------------------------------------------------------------------------------------------


def _symbols(part: EnumType) -> str:
    return f"One of {', '.join(f'`{symbol}`' for symbol in part.symbols)}."


def _field_table(fields: Iterable[Field]) -> str:
    rows = [(f"`{field.name}`", _type(field.type), _default(field), field.doc) for field in fields]
    return _table(FIELDS, rows)


def _default(field: Field) -> str:
    if field.default is NO_DEFAULT:
        return ""
    shown = {None: "null", "": "empty text", False: "false", True: "true"}
    if field.default is None or isinstance(field.default, bool | str):
        return shown.get(field.default, f"`{field.default}`")
    return f"`{field.default}`"


def _type(type_: AvroType) -> str:
    match type_:
        case Primitive():
            return type_.value
        case Nullable():
            return f"{_type(type_.inner)} or null"
        case ArrayType():
            return f"array of {_type(type_.items)}"
        case MapType():
            return f"map of {_type(type_.values)}"
        case _:
            return _link(type_.name)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(_row(line) for line in lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
