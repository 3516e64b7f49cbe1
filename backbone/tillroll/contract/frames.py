"""Event frames: which Polars types a record version decodes to, and how an older version becomes the newest."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from tillroll.contract.registry import EventSchema

__all__ = ["align", "frame_schema"]

_PRIMITIVES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "int": pl.Int32(),
    "boolean": pl.Boolean(),
    "double": pl.Float64(),
    "float": pl.Float32(),
}
_LOGICAL: dict[str, pl.DataType] = {
    "timestamp-micros": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "uuid": pl.String(),
}


def frame_schema(schema: EventSchema) -> dict[str, pl.DataType]:
    """Column types of a frame of this record version, in field order."""
    return {field["name"]: _dtype(field["type"]) for field in schema.avro["fields"]}


def _dtype(avro: Any) -> pl.DataType:
    if isinstance(avro, list):
        (branch,) = (branch for branch in avro if branch != "null")
        return _dtype(branch)
    if isinstance(avro, str):
        return _PRIMITIVES[avro]
    match avro["type"]:
        case "record":
            return pl.Struct({field["name"]: _dtype(field["type"]) for field in avro["fields"]})
        case "array":
            return pl.List(_dtype(avro["items"]))
        case "enum":
            return pl.String()
        case _:
            return _LOGICAL[avro["logicalType"]] if "logicalType" in avro else _dtype(avro["type"])


def align(frame: pl.DataFrame, old: EventSchema, new: EventSchema) -> pl.DataFrame:
    """`frame` of version `old` with the columns of version `new`, at any depth.

    Fields that `old` lacks get their Avro default; fields that `new` lacks are dropped. Columns that no
    record has (the places in front) stay.
    """
    if old.version == new.version:
        return frame
    places = [name for name in frame.columns if name not in frame_schema(old)]
    return frame.select(*places, *_fields(new.avro, _field_types(old.avro), pl.col))


def _fields(new: Mapping[str, Any], old: Mapping[str, Any], at: Any) -> list[pl.Expr]:
    return [_field(field, old, at).alias(field["name"]) for field in new["fields"]]


def _field(field: Mapping[str, Any], old: Mapping[str, Any], at: Any) -> pl.Expr:
    name, dtype = field["name"], _dtype(field["type"])
    if name not in old:
        return pl.lit(field.get("default"), dtype=dtype)
    return _converted(at(name), _bare(old[name]), _bare(field["type"])).cast(dtype)


def _converted(value: pl.Expr, old: Any, new: Any) -> pl.Expr:
    """`value` of Avro type `old` as Avro type `new`: records gain and lose fields, the rest stays."""
    if isinstance(new, dict) and new["type"] == "array":
        inner = _converted(pl.element(), _bare(old["items"]), _bare(new["items"]))
        return value.list.eval(inner)
    if isinstance(new, dict) and new["type"] == "record":
        fields = _fields(new, _field_types(old), value.struct.field)
        return pl.when(value.is_not_null()).then(pl.struct(fields))
    return value


def _bare(avro: Any) -> Any:
    return next(branch for branch in avro if branch != "null") if isinstance(avro, list) else avro


def _field_types(avro: Mapping[str, Any]) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in avro["fields"]}
