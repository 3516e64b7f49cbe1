"""Event frames: which columns a record version has, and how an older version's frame becomes the newest's."""

from functools import cache
from typing import Any

import polars as pl

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
    value_of,
)
from tillroll.contract.registry import EventSchema
from tillroll.errors import ContractError

__all__ = ["align", "frame_schema"]

_PRIMITIVES: dict[Primitive, pl.DataType] = {
    Primitive.STRING: pl.String(),
    Primitive.UUID: pl.String(),
    Primitive.INT: pl.Int32(),
    Primitive.LONG: pl.Int64(),
    Primitive.BOOLEAN: pl.Boolean(),
    Primitive.DOUBLE: pl.Float64(),
    Primitive.DATE: pl.Date(),
    Primitive.TIMESTAMP: pl.Datetime("us", "UTC"),
}


@cache
def frame_schema(schema: EventSchema) -> pl.Schema:
    """Column types of a frame of this record version, in field order.

    Ids and enums are text, records structs, arrays lists; whether null is allowed is not said here.
    """
    return pl.Schema({field.name: _dtype(field.type) for field in schema.type.fields})


def _dtype(type_: AvroType) -> pl.DataType:
    match type_:
        case Primitive():
            return _PRIMITIVES[type_]
        case EnumType():
            return pl.String()
        case Nullable():
            return _dtype(type_.inner)
        case ArrayType():
            return pl.List(_dtype(type_.items))
        case MapType():
            return pl.Map(pl.String(), _dtype(type_.values))
        case RecordType():
            return pl.Struct({field.name: _dtype(field.type) for field in type_.fields})


def align(frame: pl.DataFrame, old: EventSchema, new: EventSchema) -> pl.DataFrame:
    """`frame` of version `old` of a record with the columns of version `new`, types included.

    At any depth: fields that `old` lacks get their default, fields that `new` lacks are dropped. Columns that
    `old` does not have (where an event stood, say) stay, in front. Raises ContractError when a field has
    neither value nor default, which `tillroll schema check` does not let happen.
    """
    if old is new:
        return frame
    known = {field.name: field for field in old.type.fields}
    others = [name for name in frame.columns if name not in known]
    fields = [_field(field, known.get(field.name), pl.col(field.name)) for field in new.type.fields]
    return frame.with_columns(fields).select(*others, *frame_schema(new))


def _field(new: Field, old: Field | None, value: pl.Expr) -> pl.Expr:
    if old is not None:
        return _changed(value, old.type, new.type).alias(new.name)
    if new.default is NO_DEFAULT:
        raise ContractError(f"field {new.name} has no default to give to events of older versions")
    return _literal(value_of(new.type, new.default), _dtype(new.type)).alias(new.name)


def _literal(value: Any, dtype: pl.DataType) -> pl.Expr:
    return pl.lit(pl.Series([value], dtype=dtype)).first()


def _changed(value: pl.Expr, old: AvroType, new: AvroType) -> pl.Expr:
    """`value` of type `old` as one of type `new`; the same expression where nothing differs."""
    old, new = _bare(old), _bare(new)
    if old == new:
        return value
    if isinstance(old, ArrayType) and isinstance(new, ArrayType):
        return value.list.eval(_changed(pl.element(), old.items, new.items))
    if isinstance(old, RecordType) and isinstance(new, RecordType):
        known = {field.name: field for field in old.fields}
        fields = [_field(f, known.get(f.name), value.struct.field(f.name)) for f in new.fields]
        return pl.when(value.is_not_null()).then(pl.struct(fields))
    return value.cast(_dtype(new))


def _bare(type_: AvroType) -> AvroType:
    return type_.inner if isinstance(type_, Nullable) else type_
