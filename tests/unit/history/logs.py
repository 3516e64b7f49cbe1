"""Histories on logs in memory, and the rows that they come to."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from tillroll.contract.registry import load_contract
from tillroll.events import Event, to_wire
from tillroll.history.view import Past
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog, Record
from tillroll.projection import Projection
from tillroll.projection.evaluate import read_views
from tillroll.publisher import Publisher
from tillroll.testing.kit import fold_log

__all__ = ["CONTRACT", "filled", "fresh_rows", "now_between", "publish", "put", "rows_of"]

CONTRACT = load_contract()

Rows = dict[str, list[tuple[Any, ...]]]


def filled(events: Iterable[Event], log: MemoryLog | None = None) -> MemoryLog:
    log = MemoryLog() if log is None else log
    log.create_topics(CONTRACT.topics.values())
    publish(log, events)
    return log


def publish(log: EventLog, events: Iterable[Event]) -> None:
    Publisher(log, CONTRACT).publish(list(events))


def put(log: EventLog, partition: int, *events: Event) -> None:
    """As they are, one batch, whatever their keys say."""
    wire = [(*to_wire(each, CONTRACT), each.event_id) for each in events]
    log.append(wire[0][0], partition, [Record(key, value, id_) for _, key, value, id_ in wire])


def now_between() -> datetime:
    """A time strictly between what is recorded before and after."""
    time.sleep(0.003)
    now = datetime.now(UTC)
    time.sleep(0.003)
    return now


def rows_of(past: Past) -> Rows:
    return {view: sorted(frame.rows(), key=repr) for view, frame in past.views.items()}


def fresh_rows(projection: type[Projection], events: Sequence[Event]) -> Rows:
    """Of only these events, in a log of their own, folded batch by batch."""
    folded = fold_log(projection, filled(events))
    return rows_of(Past(read_views(projection, folded.deltas), (), 0))
