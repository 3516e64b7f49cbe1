"""The event_id is read from values that nobody has decoded yet, whatever they hold."""

import polars as pl
import pytest

from tillroll.contract.registry import load_contract
from tillroll.contract.wire import encode
from tillroll.events import StockReceived
from tillroll.log.ids import event_ids
from tillroll.testing import event

CONTRACT = load_contract()
SCHEMA = CONTRACT.latest("StockReceived")
EVENT = event(StockReceived, sku="a", location_id="s", quantity=1)
WIRE = encode(SCHEMA, EVENT.fields())


def ids_of(*values: bytes | None) -> list[str | None]:
    found: list[str | None] = (
        pl.Series("value", values, pl.Binary).to_frame().select(event_ids(pl.col("value")))["value"].to_list()
    )
    return found


def test_it_stands_behind_either_prefix() -> None:
    single = b"\xc3\x01" + SCHEMA.fingerprint + WIRE[5:]
    assert ids_of(WIRE, single, WIRE[:6] + WIRE[6:42].upper() + WIRE[42:]) == [EVENT.event_id] * 3


@pytest.mark.parametrize("at", [6, 20, 41])
@pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xC3, 0xFF])
def test_bytes_that_are_no_uuid_are_none_and_harm_no_neighbour(at: int, byte: int) -> None:
    damaged = bytearray(WIRE)
    damaged[at] = byte
    assert ids_of(WIRE, bytes(damaged), WIRE) == [EVENT.event_id, None, EVENT.event_id]


def test_what_is_cut_or_absent_has_none() -> None:
    assert ids_of(None, b"", WIRE[:5], WIRE[:6], WIRE[:20], b"\xc3\x01", b"text", WIRE) == [
        *[None] * 7,
        EVENT.event_id,
    ]
