"""The contract's files: schemas, pinned ids, and what a schema is known by."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form

from tillroll.contract.avro_shape import check_shape
from tillroll.errors import ContractError

__all__ = [
    "Pin",
    "SchemaFile",
    "decoding_of",
    "digest_of",
    "fingerprint_of",
    "pin_of",
    "pinned_ids",
    "read_pins",
    "read_toml",
    "schema_files",
]


@dataclass(frozen=True, slots=True)
class Pin:
    """What ids.toml holds of one version: its id, and what must never change under that id.

    fingerprint: CRC-64-AVRO of the canonical form. digest: of all but the docs, since the canonical form
    leaves out defaults and logical types, which readers go by as well.
    """

    id: int
    fingerprint: str
    digest: str


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One .avsc: where it stands and what it says."""

    path: Path
    topic: str
    record: str
    version: int
    avro: dict[str, Any]


def schema_files(directory: Path) -> Iterator[SchemaFile]:
    """Every .avsc of the contract in `directory`, by topic and record, oldest version first.

    Raises ContractError for a file that is no schema, and for old versions that do not lead up to a newest.
    """
    history = set(directory.glob("*/history/*"))
    for path in sorted(directory.glob("*/*.avsc")):
        old = sorted((_version(file), file) for file in history if file.name.startswith(f"{path.stem}.v"))
        old = [(number, file) for number, file in old if file.parent.parent == path.parent]
        if [number for number, _ in old] != list(range(1, len(old) + 1)):
            raise ContractError(
                f"{path.parent / 'history'}: versions of {path.stem} are v1, v2 ... without gaps"
            )
        history -= {file for _, file in old}
        for version, file in [*old, (len(old) + 1, path)]:
            yield SchemaFile(file, path.parent.name, path.stem, version, _read_schema(file))
    for file in sorted(history):
        raise ContractError(
            f"{file}: an older version is named <Record>.v<N>.avsc, and <Record>.avsc is beside history/"
        )


def _version(path: Path) -> int:
    number = path.name.removesuffix(".avsc").rpartition(".v")[2]
    if not number.isdecimal() or not number.isascii() or number.startswith("0"):
        raise ContractError(f"{path}: an older version is named <Record>.v<N>.avsc")
    return int(number)


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(found, ensure_ascii=False).encode()  # an escape may stand for half a character
        check_shape(found)
    except (OSError, ValueError, ContractError) as error:
        raise ContractError(f"{path}: {error}") from None
    except RecursionError:
        raise ContractError(f"{path}: nested too deep") from None
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises ContractError naming the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: {error}") from None


def read_pins(directory: Path) -> dict[tuple[str, int], Pin]:
    """The pinned ids of ids.toml by (record, version). Raises ContractError for what is no pin, or an id given twice."""
    path = directory / "ids.toml"
    pins: dict[tuple[str, int], Pin] = {}
    owners: dict[int, str] = {}
    for record, versions in read_toml(path).items():
        for version, told in versions.items() if isinstance(versions, dict) else [("?", None)]:
            number = _VERSION.fullmatch(version)
            if number is None or not isinstance(told, dict) or not _is_pin(told):
                raise ContractError(
                    f"{path}: {record}.{version} is not v<N> = {{ id, fingerprint (16 hex digits), digest }}"
                )
            pin = pins[record, int(number[1])] = Pin(**told)
            if not 1 <= pin.id < 1 << 31:
                raise ContractError(
                    f"{path}: {record}.{version} has id {pin.id}; ids are 1 to {(1 << 31) - 1}"
                )
            if (owner := owners.setdefault(pin.id, f"{record}.{version}")) != f"{record}.{version}":
                raise ContractError(
                    f"{path}: {owner} and {record}.{version} share id {pin.id}; each has its own"
                )
    return pins


_VERSION = re.compile(r"v([1-9][0-9]*)")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_PIN: dict[str, type] = {"id": int, "fingerprint": str, "digest": str}


def _is_pin(told: dict[str, Any]) -> bool:
    types = {name: type(value) for name, value in told.items()}
    return types == _PIN and _FINGERPRINT.fullmatch(told["fingerprint"]) is not None


# --- what a schema is known by -----------------------------------------------------------------------


def fingerprint_of(avro: dict[str, Any]) -> str:
    """CRC-64-AVRO of the canonical form: 16 hex digits, in the order of bytes of single-object encoding.

    Raises ContractError when that cannot be made: names that mean nothing or two things, defaults of another type.
    """
    # fastavro writes the digits little endian already: for "int" 8f5c393f1ad57572, which is 0x7275d51a3f395c8f.
    try:
        return fingerprint(to_parsing_canonical_form(avro), "CRC-64-AVRO")
    except (SchemaParseException, UnknownType, TypeError) as error:
        raise ContractError(f"{avro.get('name')} is no Avro schema: {error}") from None


def decoding_of(avro: dict[str, Any]) -> str:
    """The schema as native decoders are given it: no docs, and ids as the plain strings that they stand as."""
    return json.dumps(_bare(avro, drop_uuid=True), separators=(",", ":"))


def pin_of(avro: dict[str, Any], id_: int) -> Pin:
    """What pins this schema under this id."""
    return Pin(id_, fingerprint_of(avro), digest_of(avro))


def digest_of(avro: dict[str, Any]) -> str:
    """SHA-256 of all but the docs, cut to 16 digits."""
    text = json.dumps(_bare(avro), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bare(schema: Any, drop_uuid: bool = False) -> Any:
    if isinstance(schema, list):
        return [_bare(item, drop_uuid) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if drop_uuid and schema.get("logicalType") == "uuid":
        return "string"
    kept = {key: value for key, value in schema.items() if key != "doc"}
    return {key: value if key == "default" else _bare(value, drop_uuid) for key, value in kept.items()}


def pinned_ids(directory: Path) -> str:
    """The text of ids.toml with an id for every version that has none yet; the others as they are.

    An id that was ever given is never given again, not even when its schema is gone.
    """
    path = directory / "ids.toml"
    pins = read_pins(directory) if path.exists() else {}
    free = max((pin.id for pin in pins.values()), default=0) + 1
    for file in schema_files(directory):
        if (file.record, file.version) not in pins:
            pins[file.record, file.version] = pin_of(file.avro, free)
            free += 1
    return _ids_toml(pins)


HEAD = """# The id that stands in front of every value (Confluent's wire format), by record and version.
# Written by `tillroll schema generate`. Never change a line: what is in a log is read by it.
# fingerprint: CRC-64-AVRO of the canonical form. digest: SHA-256 of all but the docs, defaults included, cut to 16 digits.
"""


def _ids_toml(pins: dict[tuple[str, int], Pin]) -> str:
    records = sorted({record for record, _ in pins})
    return HEAD + "".join(f"\n[{record}]\n" + "".join(_lines(pins, record)) for record in records)


def _lines(pins: dict[tuple[str, int], Pin], record: str) -> Iterator[str]:
    for (name, version), pin in sorted(pins.items()):
        if name == record:
            told = f'id = {pin.id}, fingerprint = "{pin.fingerprint}", digest = "{pin.digest}"'
            yield f"v{version} = {{ {told} }}\n"
