"""Whether JSON is made as an Avro schema is, so that what reads it need not ask at every step."""

from collections.abc import Mapping
from typing import Any

from tillroll.errors import ContractError

__all__ = ["check_shape"]


def check_shape(schema: Any) -> None:
    """Raises ContractError unless `schema` is one record, made as Avro wants it, whatever types it uses."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ContractError("a schema of the contract is one Avro record: a JSON object with type record")
    try:
        _check_shape(schema, str(schema.get("name")))
    except RecursionError:
        raise ContractError(f"{schema.get('name')}: nested too deep") from None


_PARTS: Mapping[str, Mapping[str, type]] = {
    "record": {"name": str, "fields": list},
    "enum": {"name": str, "symbols": list},
    "fixed": {"name": str, "size": int},
    "array": {"items": object},
    "map": {"values": object},
}
_OPTIONAL: Mapping[str, type] = {"doc": str, "namespace": str, "logicalType": str}


def _check_shape(schema: Any, where: str) -> None:
    if isinstance(schema, list):
        for branch in schema:
            _check_shape(branch, where)
    elif isinstance(schema, dict):
        _check_object(schema, where)
    elif not isinstance(schema, str):
        raise ContractError(f"{where}: {schema!r} is no Avro type")


def _check_object(schema: Mapping[str, Any], where: str) -> None:
    kind = schema.get("type")
    if not isinstance(kind, str):
        _check_shape(kind, where)
        return
    _check_members(schema, _PARTS.get(kind, {}), where)
    if kind == "record":
        for field in schema["fields"]:
            if not isinstance(field, dict):
                raise ContractError(f"{where}: {field!r} is no field")
            _check_members(field, {"name": str, "type": object}, where)
            _check_shape(field["type"], f"{where}.{field['name']}")
    elif kind == "enum" and not all(isinstance(symbol, str) for symbol in schema["symbols"]):
        raise ContractError(f"{where}: the symbols of an enum are texts")
    elif kind in ("array", "map"):
        _check_shape(schema["items" if kind == "array" else "values"], where)


def _check_members(schema: Mapping[str, Any], needed: Mapping[str, type], where: str) -> None:
    for name, type_ in needed.items():
        if schema.get(name) is None or not isinstance(schema[name], type_):
            raise ContractError(f"{where}: {name} is missing or not what Avro wants there")
    for name, type_ in _OPTIONAL.items():
        if not isinstance(schema.get(name, ""), type_):
            raise ContractError(f"{where}: {name} is not text")
