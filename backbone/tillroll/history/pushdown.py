"""Which bytes an event must hold to concern one key, so that the others need not be decoded.

A projection that copies a key column as it is from its events can be asked for one key by its text. That it does
is verified, never assumed: by watching what its handlers do with the column, and over generated events in every
version of their schemas (docs/decisions/0012-key-texts-pushed-down.md).
"""

import random
import uuid
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, cast

import polars as pl

from tillroll.contract.avro_types import AvroType, Nullable, Primitive
from tillroll.contract.registry import Contract, EventSchema
from tillroll.contract.wire import encode
from tillroll.history.copies import copied
from tillroll.log.decode import decode_batches
from tillroll.log.encode import encode_values
from tillroll.log.port import Batch
from tillroll.projection.declare import Projection, TableSpec
from tillroll.projection.fold import EVENT, Folder, Traced
from tillroll.testing.order_free import Few

__all__ = ["texts_of", "verbatim"]

EVENTS_A_SCHEMA = 40
SEEDS = 2


def texts_of(
    projection: type[Projection], contract: Contract, table: TableSpec, key: Mapping[str, Any]
) -> list[bytes]:
    """What every event holds that concerns the row `key` of `table`; nothing where that is not known."""
    texts = [name for name in table.key if isinstance(key[name], str) and key[name]]
    kept = verbatim(projection, contract)[table.name] if texts else ()
    return [key[name].encode() for name in texts if name in kept]


def verbatim(projection: type[Projection], contract: Contract) -> Mapping[str, Collection[str]]:
    """By table its text key columns whose values stand in the very events that rows stem from.

    None of a projection whose handlers fail on generated events, or give no row for some type of them, or that reads
    what is upcast from another record. Found once a process.
    """
    found: Mapping[str, Collection[str]] = _verbatim(cast(Any, projection), contract)
    return found


@cache
def _verbatim(projection: Any, contract: Any) -> dict[str, set[str]]:
    columns = {t.name: {c for c in t.key if t.column(c).dtype == pl.String()} for t in projection.tables}
    try:
        for schema in _read_by(projection, contract):
            for seed in range(SEEDS):
                _keep_copied(columns, projection, contract, _values(schema, seed))
    except (Exception, SystemExit, pl.exceptions.PanicException):  # noqa: BLE001 - a handler may raise anything
        return {name: set() for name in columns}
    return columns


class _Unknown(Exception):
    """Nothing can be said of a projection."""


def _keep_copied(
    columns: dict[str, set[str]], projection: type[Projection], contract: Contract, values: list[bytes]
) -> None:
    """Take away from `columns` what these values, all of one schema, show to be no copies."""
    batches = _batches(values)
    folder = Folder(projection(), contract)
    decoded = decode_batches(batches, contract, folder.wanted)
    for record, frame in decoded.frames.items():
        for table, copies in copied(projection(), record, frame):
            columns[table.name] &= copies
    traced = list(folder.trace(decoded, batches))
    if not traced:
        raise _Unknown
    for each in traced:
        columns[each.table.name] -= _changed(each, columns[each.table.name], values)


def _read_by(projection: type[Projection], contract: Contract) -> Iterable[EventSchema]:
    """Every version of what the projection reads. Raises _Unknown where something is made into it: by what, none can say."""
    for record in contract.records:
        newest = contract.newest_record(record)
        if newest in projection.records():
            if newest != record:
                raise _Unknown
            yield from contract.versions(record)


def _batches(values: list[bytes]) -> list[Batch]:
    body = encode_values([b""] * len(values), values)
    return [Batch("generated", 0, 0, len(values), len(values), 0, 0, body)]


def _changed(traced: Traced, columns: Collection[str], values: list[bytes]) -> set[str]:
    """Those of `columns` that hold a text that its event does not."""
    at = traced.events["_offset"].gather(traced.rows[EVENT])
    rows = traced.rows.with_columns(_value=pl.Series(values, dtype=pl.Binary).gather(at))
    found = rows.select(
        pl.col("_value").bin.contains(pl.col(name).cast(pl.Binary)).all().alias(name) for name in columns
    )
    return {name for name in columns if not found[name][0]}


def _values(schema: EventSchema, seed: int) -> list[bytes]:
    generator = _Distinct(f"{schema.name} {seed}")
    return [encode(schema, generator.event(schema)) for _ in range(EVENTS_A_SCHEMA)]


class _Distinct(Few):
    """Events whose texts are mostly found nowhere else; some are those that handlers may look for."""

    def field(self, name: str, type_: AvroType) -> Any:
        inner = type_.inner if isinstance(type_, Nullable) else type_
        if inner is Primitive.STRING and self.random.random() < 0.5:
            return _token(self.random)
        return super().field(name, type_)

    def primitive(self, type_: Primitive) -> Any:
        if type_ is Primitive.STRING and self.random.random() < 0.5:
            return _token(self.random)
        return super().primitive(type_)


def _token(chance: random.Random) -> str:
    return f"Tö-{uuid.UUID(int=chance.getrandbits(128)).hex[:12]} k"
