"""Events that go to several topics and partitions are answered in the order in which they were given."""

from tillroll.contract.registry import load_contract
from tillroll.events import Event, OrderHeld, StockReceived, to_wire
from tillroll.log.memory import MemoryLog
from tillroll.log.port import TopicPartition
from tillroll.log.records import read_records
from tillroll.publisher import Publisher
from tillroll.testing import event

CONTRACT = load_contract()


def _about(n: int) -> Event:
    if n % 3:
        return event(StockReceived, sku=f"sku {n}", location_id="store", quantity=n)
    return event(OrderHeld, order_id=f"order {n}", reason="fraud")


def test_each_answer_is_that_of_its_event() -> None:
    log = MemoryLog()
    events = [_about(n) for n in range(1, 60)]
    answers = Publisher(log, CONTRACT).publish([*events, *events[::7]])
    values = {
        (topic, n, offset): value
        for topic in ("orders", "stock")
        for n in range(log.partitions(topic))
        for offset, value in read_records(log.read(TopicPartition(topic, n), 0))
        .select("_offset", "value")
        .rows()
    }
    assert len({answer.position[:2] for answer in answers}) > 4
    for each, answer in zip([*events, *events[::7]], answers, strict=True):
        assert values[answer.position] == to_wire(each, CONTRACT)[2]
    assert [answer.duplicate for answer in answers] == [False] * 59 + [True] * 9


def test_no_event_is_no_answer() -> None:
    assert Publisher(MemoryLog(), CONTRACT).publish([]) == []
