"""The reactor that appends to a file: a line an event, each once, whatever interrupted it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tillroll.errors import ConfigurationError
from tillroll.events import StockReceived
from tillroll.log.port import Position
from tillroll.reactor import FileReactor, Reaction
from tillroll.testing import event

RECORDED = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def reaction(offset: int, again: bool = False, sku: str = "a") -> Reaction:
    received = event(StockReceived, sku=sku, location_id="s", quantity=offset)
    return Reaction(received, Position("stock", 0, offset), RECORDED, live=True, again=again)


def lines(path: Path) -> list[int]:
    return [json.loads(line)["quantity"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acts.ndjson"


def test_a_line_tells_the_event_and_where_it_stands(path: Path) -> None:
    told = reaction(3, sku="Schöne Schuhe")
    FileReactor("f", path, ["StockReceived"]).act([told])
    line = json.loads(path.read_text(encoding="utf-8"))
    assert {
        k: line[k] for k in ("event", "topic", "partition", "offset", "recorded_at", "sku", "event_id")
    } == {
        "event": "StockReceived",
        "topic": "stock",
        "partition": 0,
        "offset": 3,
        "recorded_at": "2026-03-14T09:30:00+00:00",
        "sku": "Schöne Schuhe",
        "event_id": told.event.event_id,
    }


def test_what_is_handed_over_again_is_written_if_it_was_not(path: Path) -> None:
    first, second = reaction(1), reaction(2)
    reactor = FileReactor("f", path, ["StockReceived"])
    reactor.act([first])
    again = [Reaction(each.event, each.position, RECORDED, live=True, again=True) for each in (first, second)]
    reactor.act(again)
    assert lines(path) == [1, 2]


def test_a_line_cut_off_by_a_crash_is_written_anew(path: Path) -> None:
    first, second = reaction(1), reaction(2)
    reactor = FileReactor("f", path, ["StockReceived"])
    reactor.act([first, second])
    path.write_bytes(path.read_bytes()[:-20])
    reactor.act([Reaction(second.event, second.position, RECORDED, live=True, again=True), reaction(3)])
    assert lines(path) == [1, 2, 3]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write .*gone"):
        FileReactor("f", tmp_path / "gone" / "x", ["StockReceived"]).act([reaction(1)])
