"""Runs a reactor: reads what is new, tells live from replayed, and keeps the ledger around every act."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.errors import MalformedEvent, PositionOutOfRange
from tillroll.events import EVENTS
from tillroll.log import extent
from tillroll.log.decode import PLACE, decode_records
from tillroll.log.port import Batch, EventLog, Position, TopicPartition
from tillroll.log.records import read_records
from tillroll.reactor import Reaction, Reactor
from tillroll.store.admission import Cut, Verdicts
from tillroll.store.ledger import Ledger
from tillroll.store.postgres import PostgresStore

__all__ = ["Reacted", "ReactorRunner"]

READ_BYTES = 1 << 20  # of one step: what may have to be done again after a crash


@dataclass(frozen=True, slots=True)
class Reacted:
    """What a step did: events acted on, events passed over as replayed or done before, records that are no event."""

    acted: int = 0
    passed: int = 0
    malformed: int = 0

    def __add__(self, other: "Reacted") -> "Reacted":
        return Reacted(self.acted + other.acted, self.passed + other.passed, self.malformed + other.malformed)


class ReactorRunner:
    """One reactor over its share of the log, in this process alone. Not to be shared between threads.

    Raises UsageError when another process runs a reactor of this name.
    """

    def __init__(self, reactor: Reactor, log: EventLog, store: PostgresStore, contract: Contract):
        self._reactor, self._log, self._contract = reactor, log, contract
        self._records = frozenset(reactor.records())
        self._verdicts = None if log.settles_duplicates else Verdicts(store)
        store.bind(log.identity)
        self._ledger = Ledger.open(store, reactor.name)
        self._at = self._ledger.positions(extent.ends(log, contract.topics_of(self._records)))

    def replay(self) -> None:
        """Read the log from its beginning once more; nothing of it is acted on again."""
        for origin, start in self._log.start_offsets(self._at).items():
            self._ledger.replay(origin, start)
        self._at = self._ledger.positions(dict.fromkeys(self._at, 0))

    def step(self) -> Reacted:
        """Read on in every partition and act; nothing new is ``Reacted()``. Raises what log, store and reactor raise."""
        found = Reacted()
        for origin in sorted(self._at):
            found += self._step(origin)
        return found

    def close(self) -> None:
        """Let another process run the reactor."""
        self._ledger.close()

    def _step(self, origin: TopicPartition) -> Reacted:
        live_from, at = self._at[origin]
        admitted = self._admitted(origin, at)
        if not admitted.passed:
            return Reacted()
        end = admitted.passed[-1].next_offset
        reactions, malformed = self._reactions(admitted, live_from)
        live, replayed = (
            [each for each in reactions if each.live],
            [each for each in reactions if not each.live],
        )
        self._reactor.pass_over(replayed)
        acted = self._act(live, origin, end)
        self._at[origin] = live_from, end
        return Reacted(acted, len(reactions) - acted, malformed)

    def _admitted(self, origin: TopicPartition, at: int) -> Cut:
        try:
            batches = self._log.read(origin, at, READ_BYTES)
        except PositionOutOfRange as error:
            raise PositionOutOfRange(
                f"the reactor {self._reactor.name} stands at offset {at} of {origin.topic}/{origin.partition}, which the "
                f"log does not hold: {error}; start it with --replay to go on from what there is"
            ) from error
        return Cut([*batches], {}, {}) if self._verdicts is None else self._verdicts.cut(batches)

    def _act(self, reactions: Sequence[Reaction], origin: TopicPartition, end: int) -> int:
        """Act on what is not done yet, the ledger around it; how many that were."""
        ids = [each.event.event_id for each in reactions]
        done, begun = self._ledger.begin(ids) if ids else (set[str](), set[str]())
        todo = [_marked(each, begun) for each in reactions if each.event.event_id not in done]
        if todo:
            self._reactor.act(todo)
        self._ledger.finish([each.event.event_id for each in todo], origin, end)
        return len(todo)

    def _reactions(self, admitted: Cut, live_from: int) -> tuple[list[Reaction], int]:
        """The admitted events in the order of the log, training left out; and how many were malformed."""
        batches = admitted.passed
        records = read_records(batches)
        if self._verdicts is not None:
            records = self._verdicts.without_skipped(records, batches, admitted.skipped)
        decoded = decode_records(records, batches, self._contract, self._records)
        found, malformed = list[Reaction](), len(decoded.rejects)
        for record, frame in decoded.frames.items():
            for row in frame.filter(~pl.col("training")).iter_rows(named=True):
                try:
                    found.append(_reaction(record, row, batches, live_from))
                except MalformedEvent:  # the schema allows what the event type does not
                    malformed += 1
        return sorted(found, key=lambda each: each.position), malformed


def _reaction(record: str, row: dict[str, Any], batches: Sequence[Batch], live_from: int) -> Reaction:
    index, offset, recorded_at = (row.pop(name) for name in PLACE)
    batch, event = batches[index], EVENTS[record].read(row)
    return Reaction(event, Position(batch.topic, batch.partition, offset), recorded_at, offset >= live_from)


def _marked(reaction: Reaction, begun: set[str]) -> Reaction:
    if reaction.event.event_id not in begun:
        return reaction
    return Reaction(reaction.event, reaction.position, reaction.recorded_at, reaction.live, again=True)
