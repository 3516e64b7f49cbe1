"""The pydantic models of the contract as Python source, in the shape that the formatter leaves as it is."""

import json
import keyword
import textwrap
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
from tillroll.contract.envelope import envelope_fault, own_fields
from tillroll.contract.registry import Contract, EventSchema
from tillroll.errors import ContractError

__all__ = ["generate_models"]

WIDTH = 110
INDENT = " " * 4

_PRIMITIVES = {
    Primitive.STRING: "Text",
    Primitive.UUID: "Uuid",
    Primitive.INT: "Int",
    Primitive.LONG: "Long",
    Primitive.BOOLEAN: "bool",
    Primitive.DOUBLE: "Number",
    Primitive.DATE: "Date",
    Primitive.TIMESTAMP: "Time",
}
# Texts that a field's name says more about. An id that is empty would make one row of everything that lacks it; a
# place may be none, and is '' then.
_BY_NAME = {"currency": "Currency"} | dict.fromkeys(
    (
        "order_id", "line_id", "sku", "return_id", "refund_id", "payment_id", "parcel_id", "reservation_id", "transfer_id",
        "alert_id", "exchange_order_id", "substitute_line_id", "substitute_sku",
    ),
    "Name",
)  # fmt: skip
BASES = {False: "Event", True: "BookedEvent"}
IMPORTABLE = (
    "BookedEvent",
    "Currency",
    "Date",
    "Event",
    "Int",
    "Long",
    "Name",
    "Number",
    "Part",
    "Text",
    "Time",
    "Uuid",
)
TAKEN = frozenset(
    [
        "construct",
        "copy",
        "dict",
        "fields",
        "from_orm",
        "json",
        "parse_file",
        "parse_obj",
        "parse_raw",
        "read",
        "schema",
        "schema_json",
        "update_forward_refs",
        "validate",
    ]
)
"""What the classes of events can do, and so no field can be called; besides what begins with model_."""

CLASS_VARIABLES = frozenset({"record", "topic"})

Named = RecordType | EnumType


def generate_models(contract: Contract) -> str:
    """Python source of one pydantic model per record (its newest version) and per nested record and enum.

    The same contract always gives the same text. Raises ContractError when a record lacks the envelope, or two
    types of one name differ, so that no class could stand for both.
    """
    newest = [contract.latest(record) for record in contract.records]
    parts = _parts(newest)
    body = [_named(part) for part in parts.values()] + [_event(schema, contract) for schema in newest]
    names = ["EVENTS", *sorted([*parts, *contract.records])]
    return "\n\n".join([_head("\n".join(body), names), *body, _table(contract.records)])


def _parts(schemas: Iterable[EventSchema]) -> dict[str, Named]:
    """Nested records and enums by name, each after those it is made of."""
    schemas = list(schemas)
    parts: dict[str, Named] = {}
    for schema in schemas:
        for part in _inside(schema.type):
            if parts.setdefault(part.name, part) != part:
                raise ContractError(f"{schema.name}: {part.name} differs from {part.name} of another record")
    for taken in parts.keys() & {*(schema.record for schema in schemas), *IMPORTABLE}:
        raise ContractError(
            f"{taken} is the name of a nested type and of something else; rename the nested one"
        )
    return parts


def _inside(type_: AvroType) -> Iterator[Named]:
    for child in children(type_):
        yield from _inside(child)
        if isinstance(child, RecordType | EnumType):
            yield child


# --- text ----------------------------------------------------------------------------------------------


def _head(body: str, names: list[str]) -> str:
    used = [name for name in IMPORTABLE if _uses(body, name)]
    lines = [
        '"""The event types. Made from the schemas by `tillroll schema generate`; change those instead."""',
        "",
        f"from typing import ClassVar{', Literal' if ' Literal[' in body else ''}",
        "",
        "from pydantic import Field",
        "",
        _listed("from tillroll.events.base import ", "()", used),
        "",
        _listed("__all__ = ", "[]", [_quoted(name) for name in names]),
    ]
    return "\n".join(lines) + "\n"


def _uses(body: str, name: str) -> bool:
    return any(mark in body for mark in (f": {name}", f"[{name}", f", {name}]", f"({name})"))


def _listed(before: str, brackets: str, items: list[str]) -> str:
    opening, closing = brackets[0], brackets[1]
    bare = brackets == "()"
    one_line = f"{before}{'' if bare else opening}{', '.join(items)}{'' if bare else closing}"
    if len(one_line) <= WIDTH:
        return one_line
    return "\n".join([before + opening, *(f"{INDENT}{item}," for item in items), closing])


def _named(part: Named) -> str:
    if isinstance(part, RecordType):
        head = [f"class {part.name}(Part):", _docstring(part.doc, INDENT), ""]
        return "\n".join([*head, *_fields(part.fields)]) + "\n"
    symbols = ", ".join(_quoted(symbol) for symbol in part.symbols)
    return f"{part.name} = Literal[{symbols}]\n{_docstring(part.doc, '')}\n"


def _event(schema: EventSchema, contract: Contract) -> str:
    fault = envelope_fault(schema.type)
    if fault is not None:
        raise ContractError(f"{schema.name}: {fault}")
    spec = contract.topics.get(schema.topic)
    own = own_fields(schema.type)
    for taken in CLASS_VARIABLES & {field.name for field in own}:
        raise ContractError(f"{schema.name}: no field may be called {taken}, which every event class has")
    base = BASES[spec is not None and spec.needs_business_date]
    lines = [
        f"class {schema.record}({base}):",
        _docstring(schema.type.doc, INDENT),
        "",
        f"{INDENT}record: ClassVar[str] = {_quoted(schema.record)}",
        f"{INDENT}topic: ClassVar[str] = {_quoted(schema.topic)}",
    ]
    return "\n".join(lines + ([""] if own else []) + list(_fields(own))) + "\n"


def _table(records: Iterable[str]) -> str:
    """Every event type by name; in a literal, so that type checkers see what it holds."""
    entries = [f"{INDENT}{_quoted(record)}: {record}," for record in records]
    return "\n".join(["EVENTS: dict[str, type[Event]] = {", *entries, "}"]) + "\n"


def _docstring(doc: str, indent: str) -> str:
    text = " ".join(doc.split()).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if text.endswith('"') and not text.endswith('\\"'):
        text = text[:-1] + '\\"'
    lines = textwrap.wrap(text, WIDTH - len(indent) - 3, break_long_words=False, break_on_hyphens=False)
    if len(lines) < 2 or len(indent) + len(text) + 6 <= WIDTH:
        return f'{indent}"""{text}"""'
    return f'{indent}"""' + f"\n{indent}".join(lines) + f'\n{indent}"""'


def _fields(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        if keyword.iskeyword(field.name) or field.name in TAKEN or field.name.startswith(("_", "model_")):
            raise ContractError(f"no field may be called {field.name}: Python or its class use that name")
        yield _field(field)


def _field(field: Field) -> str:
    before = f"{INDENT}{field.name}: {_annotation(field)} = Field("
    arguments = [*_default(field), f"description={_quoted(field.doc)}"]
    joined = ", ".join(arguments)
    if len(before) + len(joined) + 1 <= WIDTH:
        return f"{before}{joined})"
    if len(joined) + 2 * len(INDENT) <= WIDTH:
        return f"{before}\n{INDENT * 2}{joined}\n{INDENT})"
    return "\n".join([before, *(f"{INDENT * 2}{argument}," for argument in arguments), f"{INDENT})"])


def _annotation(field: Field) -> str:
    known = _BY_NAME.get(field.name)
    if known is None or Primitive.STRING not in (field.type, getattr(field.type, "inner", None)):
        return _type(field.type)
    return f"{known} | None" if isinstance(field.type, Nullable) else known


def _type(type_: AvroType) -> str:
    match type_:
        case Primitive():
            return _PRIMITIVES[type_]
        case ArrayType():
            return f"list[{_type(type_.items)}]"
        case MapType():
            return f"dict[Text, {_type(type_.values)}]"
        case Nullable():
            return f"{_type(type_.inner)} | None"
        case _:
            return type_.name


def _default(field: Field) -> Iterator[str]:
    """The argument that gives the default, if there is one; anything deeper than a value is checked as JSON is."""
    if field.default is NO_DEFAULT:
        return
    if field.default in ([], {}) and isinstance(field.type, ArrayType | MapType):
        yield f"default_factory={'list' if field.default == [] else 'dict'}"
    elif field.default is None or isinstance(field.default, bool | int | float):
        yield f"default={field.default}"
    elif isinstance(field.default, str):
        yield f"default={_quoted(field.default)}"
    else:
        raise ContractError(
            f"{field.name}: a default is a plain value or empty; {field.default!r} is neither"
        )


def _quoted(text: str) -> str:
    """A Python literal in the quotes that the formatter prefers."""
    if '"' in text and "'" not in text and "\\" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)
