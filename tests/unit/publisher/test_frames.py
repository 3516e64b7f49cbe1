"""A frame goes to its partitions in its order; what cannot be published is refused in one error, nothing of it in the log."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
import pytest

from tillroll.contract.frames import frame_schema
from tillroll.contract.registry import load_contract
from tillroll.errors import LogUnavailable, MalformedEvent, UsageError
from tillroll.events import event_id_for
from tillroll.log.memory import MemoryLog
from tillroll.log.port import Appended, Record, TopicPartition
from tillroll.log.records import read_records
from tillroll.publisher import Published, Publisher
from tillroll.publisher import publisher as publishing

ID = event_id_for("test", "StockReceived", "1")


def frame(ids: list[object], type_: type[pl.DataType] = pl.String) -> pl.DataFrame:
    """StockReceived with these event_ids, all of one key."""
    columns = frame_schema(load_contract().latest("StockReceived"))
    event = {
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": datetime(2026, 3, 14, tzinfo=UTC),
        "training": False,
        "sku": "shoe-42",
        "location_id": "store-7",
        "quantity": 1,
    }
    return pl.DataFrame([event | {"event_id": id_} for id_ in ids], {**columns, "event_id": type_})


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def publisher(log: MemoryLog) -> Publisher:
    return Publisher(log, load_contract())


def stands(log: MemoryLog) -> int:
    """Events on the topic of stock."""
    return sum(log.end_offset(TopicPartition("stock", n)) for n in range(log.partitions("stock")))


def test_an_event_too_large_for_any_log_is_refused(publisher: Publisher, log: MemoryLog) -> None:
    large = frame([ID]).with_columns(reference=pl.lit("x" * 1_000_000))
    with pytest.raises(MalformedEvent, match="StockReceived: the event is too large: 1,000,0"):
        publisher.publish_frame("StockReceived", large)
    assert stands(log) == 0


def test_ids_in_canonical_form_are_published(publisher: Publisher, log: MemoryLog) -> None:
    assert publisher.publish_frame("StockReceived", frame([ID])) == Published(new=1)
    assert stands(log) == 1


@pytest.mark.parametrize(
    "other",
    [
        "17",
        "",
        None,
        ID.upper(),
        ID.replace("-", ""),
        f"{{{ID}}}",
        f"{ID}\n",
        f" {ID[1:]}",
        "\u0665" + ID[1:],
    ],
)
def test_any_other_id_is_refused_by_its_row_and_nothing_is_appended(
    publisher: Publisher, log: MemoryLog, other: str | None
) -> None:
    with pytest.raises(MalformedEvent) as refused:
        publisher.publish_frame("StockReceived", frame([ID, other, "18"]))
    assert f"StockReceived row 1 (the first is 0): event_id {other!r} is no UUID" in str(refused.value)
    assert refused.value.field == "event_id"
    assert stands(log) == 0


def test_a_frame_without_ids_is_refused_by_its_first_row(publisher: Publisher) -> None:
    with pytest.raises(MalformedEvent, match=r"row 0 .* event_id None"):
        publisher.publish_frame("StockReceived", frame([ID]).drop("event_id"))


def test_ids_that_are_no_text_are_refused_by_their_type(publisher: Publisher) -> None:
    with pytest.raises(MalformedEvent, match="event_id is a column of Int64; make it text"):
        publisher.publish_frame("StockReceived", frame([17], pl.Int64))


def test_no_rows_are_no_events(publisher: Publisher) -> None:
    assert publisher.publish_frame("StockReceived", frame([ID]).clear()) == Published()


def test_a_frame_of_corrections_is_refused_and_told_the_way(publisher: Publisher) -> None:
    with pytest.raises(UsageError, match=r"EventCorrected has no topic of its own; .* publish\(\)"):
        publisher.publish_frame("EventCorrected", frame([ID]))


MANY = 2_000


def many() -> pl.DataFrame:
    """Receipts of as many keys as rows: shoe-0, shoe-1, ..."""
    ids: list[object] = [event_id_for("test", "StockReceived", str(n)) for n in range(MANY)]
    return frame(ids).with_columns(sku=pl.format("shoe-{}", pl.int_range(MANY)))


def test_every_partition_gets_its_rows_in_the_order_of_the_frame(
    publisher: Publisher, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "APPEND_RECORDS", 50)
    assert publisher.publish_frame("StockReceived", many()) == Published(new=MANY)
    assert publisher.publish_frame("StockReceived", many()) == Published(duplicates=MANY)
    shoes = [shoes_on(log, TopicPartition("stock", n)) for n in range(log.partitions("stock"))]
    assert all(part and part == sorted(part) for part in shoes)
    assert sorted(shoe for part in shoes for shoe in part) == list(range(MANY))


def shoes_on(log: MemoryLog, origin: TopicPartition) -> list[int]:
    """Which shoes a partition tells of, by their places."""
    keys = read_records(log.read(origin, 0, 1 << 30))["key"]
    return [int(key.removeprefix(b"shoe-").partition(b"|")[0]) for key in keys]


class Failing(MemoryLog):
    """Refuses the first append to one partition, and takes a moment for every append to another."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = threading.Event()

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> list[Appended]:
        if partition == 1:
            self.failed.set()
            raise LogUnavailable("the log does not answer")
        assert self.failed.wait(30)
        time.sleep(0.001)
        return super().append(topic, partition, records)


def test_when_a_partition_fails_the_others_stop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "APPEND_RECORDS", 1)
    log = Failing()
    with pytest.raises(LogUnavailable, match="the log does not answer"):
        Publisher(log, load_contract()).publish_frame("StockReceived", many())
    assert stands(log) < MANY / 2
