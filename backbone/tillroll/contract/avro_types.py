"""The part of Avro that the contract uses, as values: what every reader of a schema here works on.

Only what the fast decoder knows is here (design.md section 4): no bytes, fixed or decimal, no union but
null and one type, no record inside itself. Names are resolved: a type that is named is the type itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from tillroll.contract.avro_shape import check_shape
from tillroll.errors import ContractError

__all__ = [
    "EPOCH",
    "NO_DEFAULT",
    "ArrayType",
    "AvroType",
    "EnumType",
    "Field",
    "MapType",
    "Nullable",
    "Primitive",
    "RecordType",
    "children",
    "parse_record",
    "value_of",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMESPACE = "tillroll"


class Primitive(Enum):
    """Types without parts, logical types included."""

    STRING = "string"
    UUID = "uuid"
    INT = "int"
    LONG = "long"
    BOOLEAN = "boolean"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp-micros"


@dataclass(frozen=True, slots=True)
class EnumType:
    """A closed vocabulary; a value is one of `symbols`. `default` stands for symbols of newer versions."""

    name: str
    symbols: tuple[str, ...]
    doc: str
    default: str | None


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Any number of values of one type."""

    items: "AvroType"


@dataclass(frozen=True, slots=True)
class MapType:
    """Values of one type by name."""

    values: "AvroType"


@dataclass(frozen=True, slots=True)
class Nullable:
    """A value or null; the union ["null", type]."""

    inner: "AvroType"


NO_DEFAULT: Any = object()
"""The default of a field that has none: it has to be given."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; `default` is JSON as in the schema, see `value_of`."""

    name: str
    type: "AvroType"
    doc: str
    default: Any


@dataclass(frozen=True, slots=True)
class RecordType:
    """Named fields in order; `name` is without namespace."""

    name: str
    fields: tuple[Field, ...]
    doc: str


AvroType = Primitive | EnumType | ArrayType | MapType | Nullable | RecordType

_PLAIN: Mapping[str, Primitive] = {
    p.value: p for p in Primitive if p.value in ("string", "int", "long", "boolean", "double")
}
_LOGICAL = {
    ("string", "uuid"): Primitive.UUID,
    ("int", "date"): Primitive.DATE,
    ("long", "timestamp-micros"): Primitive.TIMESTAMP,
}
ALLOWED = "string, int, long, boolean, double, uuid, date, timestamp-micros, enum, array, map, record, null or one of them"


def parse_record(schema: Any) -> RecordType:
    """The record that an .avsc (as parsed JSON) describes.

    Raises ContractError naming record and field when it uses a type that the contract does not allow.
    """
    check_shape(schema)
    found = _Parser().parse(schema, schema["name"])
    assert isinstance(found, RecordType)
    return found


def children(type_: AvroType) -> Iterator[AvroType]:
    """The types that a type is made of, one level down."""
    if isinstance(type_, RecordType):
        yield from (field.type for field in type_.fields)
    elif isinstance(type_, ArrayType):
        yield type_.items
    elif isinstance(type_, MapType):
        yield type_.values
    elif isinstance(type_, Nullable):
        yield type_.inner


class _Parser:
    """Keeps the named types met so far; a name may be used once its type is complete."""

    def __init__(self) -> None:
        self._named: dict[str, AvroType] = {}

    def parse(self, schema: Any, where: str) -> AvroType:
        if isinstance(schema, str):
            return self._by_name(schema, where)
        if isinstance(schema, list):
            return self._union(schema, where)
        if not isinstance(schema, dict):
            raise ContractError(f"{where}: {schema!r} is no Avro type")
        kind = schema.get("type")
        if isinstance(kind, str) and kind in self._complex:
            return self._complex[kind](self, schema, where)
        return self._primitive(schema, where)

    def _by_name(self, name: str, where: str) -> AvroType:
        short = name.removeprefix(f"{NAMESPACE}.")
        found: AvroType | None = _PLAIN.get(name) or self._named.get(short)
        if found is None:
            raise ContractError(f"{where}: type {name!r} is not allowed here; allowed: {ALLOWED}")
        return found

    def _primitive(self, schema: Mapping[str, Any], where: str) -> AvroType:
        logical = schema.get("logicalType")
        if logical is None:
            return self.parse(schema.get("type"), where)
        found = _LOGICAL.get((str(schema.get("type")), str(logical)))
        if found is None:
            raise ContractError(
                f"{where}: {logical} on {schema.get('type')} is not allowed; allowed: {ALLOWED}"
            )
        return found

    def _union(self, branches: list[Any], where: str) -> AvroType:
        if len(branches) != 2 or branches[0] != "null":
            raise ContractError(f'{where}: the only union allowed is ["null", type], null first')
        inner = self.parse(branches[1], where)
        if isinstance(inner, Nullable):
            raise ContractError(f"{where}: a union inside a union is not Avro")
        return Nullable(inner)

    def _record(self, schema: Mapping[str, Any], where: str) -> AvroType:
        fields = tuple(self._field(field, where) for field in schema["fields"])
        if not fields:
            raise ContractError(f"{where}: a record needs at least one field")
        if len({field.name for field in fields}) < len(fields):
            raise ContractError(f"{where}: a record has each field once")
        return self._define(RecordType(_name(schema, where), fields, schema.get("doc", "")), where)

    def _field(self, schema: Mapping[str, Any], where: str) -> Field:
        name, default = schema["name"], schema.get("default", NO_DEFAULT)
        where = f"{where}.{name}"
        if not _is_name(name):
            raise ContractError(f"{where}: a field needs a plain name: letters, digits and _")
        type_ = self.parse(schema["type"], where)
        if default is not NO_DEFAULT and not _fits(type_, default):
            raise ContractError(f"{where}: the default {default!r} is no value of its type")
        return Field(name, type_, schema.get("doc", ""), default)

    def _enum(self, schema: Mapping[str, Any], where: str) -> AvroType:
        symbols, default = tuple(schema["symbols"]), schema.get("default")
        if not symbols or len(set(symbols)) < len(symbols) or not all(map(_is_name, symbols)):
            raise ContractError(f"{where}: an enum needs symbols, each once: letters, digits and _")
        if default is not None and default not in symbols:
            raise ContractError(f"{where}: the enum's default {default!r} is none of its symbols")
        return self._define(EnumType(_name(schema, where), symbols, schema.get("doc", ""), default), where)

    def _define(self, type_: RecordType | EnumType, where: str) -> AvroType:
        if type_.name in self._named:
            raise ContractError(f"{where}: {type_.name} is defined twice; name the second one only")
        self._named[type_.name] = type_
        return type_

    def _array(self, schema: Mapping[str, Any], where: str) -> AvroType:
        return ArrayType(self.parse(schema.get("items"), where))

    def _map(self, schema: Mapping[str, Any], where: str) -> AvroType:
        return MapType(self.parse(schema.get("values"), where))

    _complex: Mapping[str, Callable[["_Parser", Mapping[str, Any], str], AvroType]] = {
        "record": _record,
        "enum": _enum,
        "array": _array,
        "map": _map,
    }


def _name(schema: Mapping[str, Any], where: str) -> str:
    name: str = schema["name"]
    if not _is_name(name) or schema.get("namespace", NAMESPACE) != NAMESPACE:
        raise ContractError(f"{where}: a record or enum needs a plain name in the namespace {NAMESPACE}")
    return name


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier()


_WHOLE = {Primitive.INT: 31, Primitive.DATE: 31, Primitive.LONG: 63, Primitive.TIMESTAMP: 63}


def _fits(type_: AvroType, default: Any) -> bool:
    """Whether a default, as JSON, is a value of its type; that of a union is one of its first branch, null."""
    match type_:
        case Nullable():
            return default is None
        case EnumType():
            return default in type_.symbols
        case ArrayType():
            return isinstance(default, list) and all(_fits(type_.items, item) for item in default)
        case MapType():
            return isinstance(default, dict) and all(_fits(type_.values, item) for item in default.values())
        case RecordType():
            return isinstance(default, dict) and all(_fits_field(field, default) for field in type_.fields)
        case Primitive.STRING | Primitive.UUID:
            return isinstance(default, str)
        case Primitive.BOOLEAN:
            return isinstance(default, bool)
        case Primitive.DOUBLE:
            return isinstance(default, float)
    return (
        type(default) is int
        and -(1 << _WHOLE[type_]) <= default < 1 << _WHOLE[type_]
        and _has_value(type_, default)
    )


def _fits_field(field: Field, default: Mapping[str, Any]) -> bool:
    return (
        _fits(field.type, default[field.name]) if field.name in default else field.default is not NO_DEFAULT
    )


def _has_value(type_: Primitive, number: int) -> bool:
    """Days and microseconds outside the years 1 to 9999 are none that Python knows."""
    try:
        value_of(type_, number)
    except (ValueError, OverflowError):
        return False
    return True


def value_of(type_: AvroType, default: Any) -> Any:
    """A default, written as JSON in the schema, as the value that decoding would give."""
    if isinstance(type_, Nullable) or default is None:
        return None  # the default of a union is one of its first branch
    if type_ is Primitive.DATE:
        return date.fromordinal(EPOCH.toordinal() + default)
    if type_ is Primitive.TIMESTAMP:
        return EPOCH + timedelta(microseconds=default)
    if isinstance(type_, ArrayType):
        return [value_of(type_.items, item) for item in default]
    if isinstance(type_, MapType):
        return {key: value_of(type_.values, item) for key, item in default.items()}
    if isinstance(type_, RecordType):
        return {f.name: value_of(f.type, default.get(f.name, f.default)) for f in type_.fields}
    return default
