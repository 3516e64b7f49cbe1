"""Dead letters, tried again: the event is read from the log and goes the way of every other event."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from tillroll.contract.registry import Contract
from tillroll.database import Connection
from tillroll.errors import TillrollError, Unavailable
from tillroll.log.decode import decode_batches
from tillroll.log.port import Batch, EventLog, Position, TopicPartition
from tillroll.projection.code import changes, code_of
from tillroll.projection.declare import Projection
from tillroll.projection.fold import Folder
from tillroll.services.replay.filling import by_its_code
from tillroll.services.replay.promote import enter
from tillroll.store.dead_letters import ADMISSION
from tillroll.store.locks import office, standing_still
from tillroll.store.postgres import DeadLetter, PostgresStore, Writer
from tillroll.store.switching import switch
from tillroll.store.versions import State, Version, find, recode

__all__ = ["Retried", "Retrier"]


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a dead letter: applied, or the reason why it stays."""

    id: int
    applied: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What applies the dead letters of a version. changed: what its code at hand has otherwise, nothing if that is used."""

    version: Version
    projection: type[Projection]
    changed: str
    folder: Folder
    writer: Writer


class Retrier:
    """Retries dead letters, each by the code that its version records.

    projections: the code at hand, by name. mended: to use that where it differs; the version goes on by it from the
    first event that it could apply. That is right for a change that concerns failed events alone: rows of the others
    stay what the former code made of them, as `verify` would tell.
    """

    def __init__(
        self,
        log: EventLog,
        store: PostgresStore,
        contract: Contract,
        projections: Mapping[str, type[Projection]],
        mended: bool = False,
    ):
        self._log, self._store, self._contract, self._projections = log, store, contract, projections
        self._mended = mended
        self._rules: dict[tuple[str, int], _Rule] = {}

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
        for rule in self._rules.values():
            rule.writer.close()

    def _retry(self, letter: DeadLetter) -> Retried:
        if letter.projection == ADMISSION:
            return Retried(
                letter.id,
                False,
                "a conflict cannot be retried, the first event of that id counts; publish this one again with an "
                f"event_id of its own, then `tillroll dead-letters discard {letter.id}`",
            )
        rule = self._rule(letter.projection, letter.version)
        batches = [_record_at(self._log, letter.position)]
        folded = rule.folder.fold(decode_batches(batches, self._contract, rule.folder.wanted), batches)
        if folded.failures:
            failure = folded.failures[0]
            hint = f"; {rule.changed} since: --mended applies it by the code at hand" if rule.changed else ""
            return Retried(letter.id, False, f"still fails: {failure.error}: {failure.message}{hint}")
        # First: whoever is killed in between leaves an event to retry, and no row of code that nobody knows.
        self._adopt(rule)
        if not rule.writer.retry(folded, letter.id):
            return Retried(letter.id, False, "another process has settled it in the meantime")
        return Retried(letter.id, True)

    def _rule(self, name: str, number: int) -> _Rule:
        if (name, number) not in self._rules:
            self._rules[name, number] = self._found(name, number)
        return self._rules[name, number]

    def _found(self, name: str, number: int) -> _Rule:
        """Raises TillrollError where the version is gone, or cannot be projected."""
        with self._store.connection() as connection:
            version = next((each for each in find(connection, name) if each.number == number), None)
        if version is None:
            raise TillrollError(f"version {number} of {name} is not there any more; discard it")
        at_hand, changed = self._projections.get(name), ""
        if at_hand is not None and version.code is not None:
            changed = "; ".join(changes(version.code.rows, code_of(at_hand).rows))
        if at_hand is not None and (self._mended or not changed):
            self._refuse_other_tables(version, at_hand)
            projection, changed = at_hand.numbered(number, version.limits.get("only")), ""
        else:
            projection = by_its_code(version)
        folder = Folder(projection(), self._contract, partial(self._store.taken_back, projection))
        return _Rule(version, projection, changed, folder, self._store.writer(projection))

    def _refuse_other_tables(self, version: Version, at_hand: type[Projection]) -> None:
        if self._store.declared(version.name, version.number) != at_hand.fingerprint():
            raise TillrollError(
                f"{version.name} has other tables here than its version {version.number}; `tillroll replay rebuild "
                f"{version.name}` applies the event to the next one"
            )

    def _adopt(self, rule: _Rule) -> None:
        """The version goes on by the code that can apply an event: readers see its views, and running projectors, who
        let go of it for a moment, take it up again by that code.
        """
        code, version = code_of(rule.projection), rule.version
        if not self._mended or version.code is None or version.code.same_rows(code):
            return
        told = {"changed": changes(version.code.rows, code.rows)}
        name, number = version.name, version.number

        def adopt(connection: Connection) -> None:
            recode(connection, name, number, code)
            enter(connection, "mended", name, number, number, None, told)

        with office(self._store, name), standing_still(self._store, name, number):
            if self._is_live(name, number) and not version.code.same_views(code):
                switch(self._store, by_its_code(version), rule.projection, adopt)
            else:
                with self._store.connection() as connection:
                    adopt(connection)
        self._rules[name, number] = replace(rule, version=replace(version, code=code))

    def _is_live(self, name: str, number: int) -> bool:
        with self._store.connection() as connection:
            versions = find(connection, name)
        return any(each.number == number and each.state is State.LIVE for each in versions)


def _record_at(log: EventLog, position: Position) -> Batch:
    """The batch that holds this record, narrowed down to it."""
    found = log.read(TopicPartition(position.topic, position.partition), position.offset, 1)
    if not found:
        raise TillrollError(
            f"{position.topic}/{position.partition} ends before offset {position.offset}; is this the log it came from?"
        )
    return replace(found[0], start=position.offset, stop=position.offset + 1)
