"""Events on the log and admission's verdicts on them, for the tests of admission."""

from tillroll.contract.registry import load_contract
from tillroll.events import Event, StockReceived, to_wire
from tillroll.log.port import EventLog, Position, Record, TopicPartition
from tillroll.services.admission.admitter import Admitter
from tillroll.store.postgres import PostgresStore
from tillroll.testing import event

CONTRACT = load_contract()
STOCK = [TopicPartition("stock", n) for n in range(4)]


def received(quantity: int = 1) -> StockReceived:
    return event(StockReceived, sku="a", location_id="s", quantity=quantity)


def record(of: Event) -> Record:
    _, key, value = to_wire(of, CONTRACT)
    return Record(key, value, of.event_id)


def put(log: EventLog, partition: int, *events: Event) -> list[Position]:
    return [answer.position for answer in log.append("stock", partition, [record(e) for e in events])]


def admit(admitter: Admitter) -> int:
    """Step until there is nothing left to judge; how many records were judged."""
    judged, quiet = 0, 0
    while quiet < 2:  # what goes on beside a step is told by the next
        step = admitter.step(0.0)
        if step is None:
            break
        judged += step
        quiet = 0 if step else quiet + 1
    return judged


def skipped(store: PostgresStore) -> set[Position]:
    with store.connection() as connection:
        rows = connection.execute(
            "select a.topic, a.partition, lower(r), upper(r) from tillroll.skipped s "
            "join tillroll.admitted a on a.id = s.partition_id, unnest(s.offsets) as r"
        ).fetchall()
    return {Position(topic, partition, at) for topic, partition, low, high in rows for at in range(low, high)}


def conflicts(store: PostgresStore) -> list[tuple[str, int, int, str, str]]:
    with store.connection() as connection:
        rows = connection.execute(
            "select topic, partition, log_offset, event_id, message from tillroll.dead_letters "
            "where version = 0 and error = 'Conflict' order by id"
        ).fetchall()
    return list(rows)
