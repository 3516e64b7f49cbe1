"""A log as Polars frames."""

import base64
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.unit.history.logs import CONTRACT, filled, now_between, publish, put

import tillroll.analysis
from tillroll import settings
from tillroll.analysis import History
from tillroll.errors import UsageError
from tillroll.events import EventCorrected, StockCounted, StockReceived, to_wire
from tillroll.history import scan
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Batch, TopicPartition
from tillroll.projection.registry import load_projections
from tillroll.testing import event

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
KEY = {"sku": "shoe", "location_id": "s"}


class Watched(MemoryLog):
    """Counts how often it is read, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.closed = 0, False

    def read(self, origin: TopicPartition, offset: int, max_bytes: int = 1) -> Any:
        self.reads += 1
        found: list[Batch] = list(super().read(origin, offset, max_bytes))
        return found

    def close(self) -> None:
        self.closed = True


def received(quantity: int, day: int, sku: str = "shoe") -> StockReceived:
    at = NOON + timedelta(days=day)
    return event(StockReceived, at=at, sku=sku, location_id="s", quantity=quantity)


@pytest.fixture
def log() -> Watched:
    log = Watched()
    filled([received(3, 0), received(4, 1), received(5, 2, "hat")], log)
    return log


@pytest.fixture
def history(log: Watched) -> History:
    return tillroll.analysis.open(log)


def test_events_are_a_frame_with_their_places(history: History) -> None:
    frame = history.events("StockReceived").collect()
    assert frame.columns[:5] == ["topic", "partition", "offset", "recorded_at", "event_id"]
    assert sorted(frame.select("sku", "quantity").rows()) == [("hat", 5), ("shoe", 3), ("shoe", 4)]
    assert frame["topic"].unique().to_list() == ["stock"]
    assert frame.schema == history.events(StockReceived).collect_schema()


def test_no_field_of_an_event_is_named_like_a_place(history: History) -> None:
    for record in CONTRACT.records:
        names = history.events(record).collect_schema().names()
        assert len(names) == len(set(names)) == len(CONTRACT.latest(record).type.fields) + 4


def test_events_of_every_type_can_be_read_whatever_topics_they_stand_on(
    log: Watched, history: History
) -> None:
    wrong = received(30, 3)
    wire = base64.b64encode(to_wire(wrong, CONTRACT)[2]).decode()
    publish(log, [event(EventCorrected, corrects=wrong.event_id, revision=1, key="shoe|s", original=wire)])
    found = {record: len(history.events(record).collect()) for record in history.event_types}
    assert {record: count for record, count in found.items() if count} == {
        "StockReceived": 3,
        "EventCorrected": 1,
    }


def test_events_are_read_when_they_are_collected_and_anew_each_time(log: Watched, history: History) -> None:
    lazy = history.events("StockReceived").filter(pl.col("sku") == "shoe").select(pl.col("quantity").sum())
    assert log.reads == 0
    assert lazy.collect().item() == 7
    publish(log, [received(10, 3)])
    assert lazy.collect().item() == 17


def test_no_more_is_read_than_the_first_rows_need(
    log: Watched, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PIECE_BYTES", 1)
    for day in range(50):
        put(log, 0, received(1, day))
    assert len(history.events("StockReceived").head(2).collect()) == 2
    assert log.reads < 10


def test_as_of_and_known_at_are_texts_dates_or_times(log: Watched, history: History) -> None:
    known = now_between()
    publish(log, [received(100, -1)])
    for as_of in ("2026-03-14", date(2026, 3, 14), NOON, "2026-03-14T12:00"):
        assert history.events("StockReceived", as_of).collect()["quantity"].to_list() == [3, 100]
        stock = history.read_model("store_availability", as_of=as_of, known_at=known)
        assert stock["on_hand"].to_list() == [3]


def test_a_read_model_is_sorted_by_key(history: History) -> None:
    assert history.read_model("store_availability").select("sku", "on_hand").rows() == [
        ("hat", 5),
        ("shoe", 7),
    ]


def test_a_cell_is_explained_by_a_frame_whose_last_total_it_is(history: History) -> None:
    parts = history.explain("store_availability_stock", KEY, "on_hand")
    assert parts.select("record", "value", "fate", "total").rows() == [
        ("StockReceived", 3, "adds", 3),
        ("StockReceived", 4, "adds", 7),
    ]
    assert parts.columns[:3] == ["topic", "partition", "offset"]
    nothing = history.explain("store_availability_stock", KEY, "on_hand", as_of="2020-01-01")
    assert (len(nothing), nothing.columns) == (0, parts.columns)


def test_changes_are_the_row_after_each_event(log: Watched, history: History) -> None:
    publish(log, [event(StockCounted, at=NOON - timedelta(days=9), sku="shoe", location_id="s", quantity=1)])
    found = history.changes("store_availability_stock", KEY)
    assert found.select("_record", "on_hand").rows() == [
        ("StockCounted", 1),
        ("StockReceived", 4),
        ("StockReceived", 8),
    ]
    known = history.changes("store_availability_stock", KEY, by="recorded")
    assert known["_record"].to_list()[-1] == "StockCounted"
    nothing = history.changes("store_availability_stock", KEY, as_of="2020-01-01")
    assert len(nothing) == 0
    assert nothing.columns == found.columns


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda it: it.events("StockLost"), "there is no event type 'StockLost'; there are"),
        (lambda it: it.events("StockReceived", as_of="noon"), "'noon' is no time; write 2026-11-23"),
        (lambda it: it.read_model("stock"), "there is no read model 'stock'; there are channel_sales"),
        (
            lambda it: it.explain("store_availability_stock", {"sku": "a"}, "on_hand"),
            "whole key: {'sku': str, 'location_id': str}",
        ),
        (
            lambda it: it.explain("store_availability_stock", {"sku": 1, "location_id": ""}, "on_hand"),
            "'sku': str",
        ),
        (lambda it: it.changes("store_availability_stock", KEY, by="size"), "by 'occurred' or by 'recorded'"),
    ],
)
def test_what_cannot_be_meant_says_what_can(history: History, ask: Any, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        ask(history)
    assert told in str(raised.value)


def test_it_says_what_there_is(history: History) -> None:
    assert "StockReceived" in history.event_types
    assert {"channel_sales", "store_availability", "store_availability_stock"} <= set(history.read_models)
    assert len(history.read_models) > len(load_projections())


# --- opening --------------------------------------------------------------------------------------------


def test_a_log_that_is_given_open_is_left_open(log: Watched) -> None:
    with tillroll.analysis.open(log) as history:
        assert len(history.events("StockReceived").collect()) == 3
    assert not log.closed


@pytest.fixture
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (settings.DATA, settings.LOG, settings.STORE, settings.PROJECTIONS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_variables")
def test_where_there_is_no_data_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`tillroll demo` makes some"):
        tillroll.analysis.open(data=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_variables")
def test_variables_and_folders_are_those_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Watched
) -> None:
    rule = tmp_path / "received_units.py"
    rule.write_text(
        "from tillroll.events import StockReceived\n"
        "from tillroll.projection import Frame, Key, Projection, Sum, on\n\n"
        "class ReceivedUnits(Projection):\n    sku: Key[str]\n    units: Sum[int]\n\n"
        "    @on(StockReceived)\n    def received(self, events: Frame) -> Frame:\n"
        "        return events.select('sku', units='quantity')\n"
    )
    told = [("hat", 5), ("shoe", 7)]
    assert tillroll.analysis.open(log, projections=[tmp_path]).read_model("received_units").rows() == told
    monkeypatch.setenv(settings.PROJECTIONS, str(tmp_path))
    assert tillroll.analysis.open(log).read_model("received_units").rows() == told
    monkeypatch.setenv(settings.LOG, "carrier-pigeon://roof")
    with pytest.raises(UsageError, match="carrier-pigeon"):
        tillroll.analysis.open()
