"""Dead letters, tried again: the event is read from the log and goes the way of every other event."""

from dataclasses import dataclass, replace
from functools import partial

from tillroll.contract.registry import Contract
from tillroll.errors import TillrollError, Unavailable
from tillroll.log.decode import decode_batches
from tillroll.log.port import Batch, EventLog, Position, TopicPartition
from tillroll.projection.declare import Projection
from tillroll.projection.fold import Folder
from tillroll.store.dead_letters import ADMISSION
from tillroll.store.postgres import DeadLetter, PostgresStore, Writer

__all__ = ["Retried", "Retrier"]


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a dead letter: applied, or the reason why it stays."""

    id: int
    applied: bool
    reason: str = ""


class Retrier:
    """Retries dead letters of `projections` (by name)."""

    def __init__(
        self,
        log: EventLog,
        store: PostgresStore,
        contract: Contract,
        projections: dict[str, type[Projection]],
    ):
        self._log, self._store, self._contract, self._projections = log, store, contract, projections
        self._tools: dict[tuple[str, int], tuple[Folder, Writer]] = {}

    def retry(self, letter: DeadLetter) -> Retried:
        """Apply the event and delete the dead letter in one transaction, or leave it with the reason.

        Raises Unavailable only; everything else is a reason.
        """
        try:
            return self._retry(letter)
        except Unavailable:
            raise
        except TillrollError as error:
            return Retried(letter.id, False, str(error))

    def close(self) -> None:
        """Let go of connections."""
        for _, writer in self._tools.values():
            writer.close()

    def _retry(self, letter: DeadLetter) -> Retried:
        if reason := self._obstacle(letter):
            return Retried(letter.id, False, reason)
        folder, writer = self._tools_of(letter.projection, letter.version)
        batches = [_record_at(self._log, letter.position)]
        folded = folder.fold(decode_batches(batches, self._contract, folder.wanted), batches)
        if folded.failures:
            failure = folded.failures[0]
            return Retried(letter.id, False, f"still fails: {failure.error}: {failure.message}")
        if writer.retry(folded, letter.id):
            return Retried(letter.id, True)
        return Retried(letter.id, False, "another process has settled it in the meantime")

    def _obstacle(self, letter: DeadLetter) -> str:
        """Why there is no use in trying, or nothing."""
        if letter.projection == ADMISSION:
            return (
                "a conflict cannot be retried, the first event of that id counts; publish this one again with an "
                f"event_id of its own, then `tillroll dead-letters discard {letter.id}`"
            )
        projection = self._projections.get(letter.projection)
        if projection is None:
            return f"there is no projection {letter.projection} here; name its folder with --projections"
        declared = self._store.declared(letter.projection, letter.version)
        if declared is None:
            return f"version {letter.version} of {letter.projection} is not there any more; discard it"
        if declared != projection.fingerprint():
            return (
                f"{letter.projection} has other tables here than its version {letter.version}; `tillroll replay rebuild "
                f"{letter.projection}` applies the event to the next one"
            )
        return ""

    def _tools_of(self, name: str, version: int) -> tuple[Folder, Writer]:
        """By the code at hand: it is what was mended."""
        if (name, version) not in self._tools:
            projection = self._projections[name].numbered(version)
            folder = Folder(projection(), self._contract, partial(self._store.taken_back, projection))
            self._tools[name, version] = folder, self._store.writer(projection)
        return self._tools[name, version]


def _record_at(log: EventLog, position: Position) -> Batch:
    """The batch that holds this record, narrowed down to it."""
    found = log.read(TopicPartition(position.topic, position.partition), position.offset, 1)
    if not found:
        raise TillrollError(
            f"{position.topic}/{position.partition} ends before offset {position.offset}; is this the log it came from?"
        )
    return replace(found[0], start=position.offset, stop=position.offset + 1)
