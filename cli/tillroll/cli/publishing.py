"""NDJSON into the log: lines checked one by one, published in chunks, rejected with place and reason."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from tillroll.cli.files import LONGEST_LINE, Line, lines_of, require_files
from tillroll.cli.output import count
from tillroll.cli.progress import Meter
from tillroll.contract.registry import Contract
from tillroll.errors import MalformedEvent, TillrollError
from tillroll.events import Event, event_from_json, to_wire
from tillroll.identity import identity_key
from tillroll.log.port import Appended, EventLog
from tillroll.publisher import Publisher
from tillroll.publisher.references import hashed

__all__ = ["PublishResult", "Reject", "publish_files"]

CHUNK = 5_000  # lines at a time: as many as a batch of the log takes
MOST_TOLD = 20  # rejects, and duplicates, that are told one by one
MOST_SHOWN = 3  # duplicates shown to a person: most often it is a file published again
COMMENT = b"#"


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was not published: where, which field ('' = the whole line), why."""

    file: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {f'{self.field} ' if self.field else ''}{self.reason}"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A line whose event the log holds already: where the line is, and where the event stands."""

    file: str
    line: int
    event_id: str
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        at = f"{self.topic}/{self.partition} offset {self.offset}"
        return f"{self.file} line {self.line}: event_id {self.event_id} stands at {at}"


@dataclass
class PublishResult:
    """What became of the lines. rejected, repeated: the first ones; all are counted in `rejects` and `duplicates`.

    conflicts: events refused because the log holds other content under their event_id; part of `rejects` too.
    """

    published: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejects: int = 0
    rejected: list[Reject] = field(default_factory=list)
    repeated: list[Repeat] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 when anything was rejected."""
        return int(self.rejects > 0)

    def text(self) -> Iterator[str]:
        """See Result."""
        yield f"{count(self.published, 'event')} published"
        if self.duplicates:
            yield f"{count(self.duplicates, 'duplicate')}: in the log already, nothing added"
            shown = self.repeated[:MOST_SHOWN]
            yield from (f"  {repeat}" for repeat in shown)
            if self.duplicates > len(shown):
                yield f"  and {self.duplicates - len(shown):,} more; --json names {len(self.repeated)} of them"
        if self.conflicts:
            yield f"{count(self.conflicts, 'conflict')}: the log holds other content under the same event_id"
        if self.rejects:
            yield f"{count(self.rejects, 'line')} rejected"


class _Source(NamedTuple):
    file: str
    number: int
    text: bytes


def publish_files(
    log: EventLog, contract: Contract, files: Sequence[str], rejects: BinaryIO | None, display: Meter
) -> PublishResult:
    """Publish the events of `files` (``-`` = stdin); memory does not grow with them.

    rejects: where rejected lines are kept, each below a comment with the reason. Raises TillrollError when a
    file or the log fails; what was published before stays.
    """
    require_files(files)
    result = PublishResult()
    chunks = _Chunks(Publisher(log, contract), contract, rejects, display, result)
    display.begin("publish", None, "lines")
    try:
        for file in files:
            for batch in _batches(lines_of(file)):
                chunks.take(file, batch)
                display.advance("publish", len(batch))
    except TillrollError as error:
        raise type(error)(f"{error}; {_before(result)}") from error
    finally:
        display.end("publish")
        chunks.tell_the_rest()
    return result


def _before(result: PublishResult) -> str:
    """What stands, whatever failed after it."""
    told = f"{count(result.published, 'event')} {'was' if result.published == 1 else 'were'} published before that"
    if result.duplicates:
        told += f", {count(result.duplicates, 'duplicate')} known before"
    return f"{told}: run the same again, known events are not added twice" if result.published else told


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines by CHUNK; when reading fails, those before it still come."""
    batch: list[Line] = []
    try:
        for line in lines:
            batch.append(line)
            if len(batch) == CHUNK:
                yield batch
                batch = []
    except TillrollError:
        yield batch
        raise
    yield batch


class _Chunks:
    """Takes lines, some thousand at a time."""

    def __init__(
        self,
        publisher: Publisher,
        contract: Contract,
        rejects: BinaryIO | None,
        display: Meter,
        result: PublishResult,
    ):
        self._publisher, self._contract, self._display, self._key = (
            publisher,
            contract,
            display,
            identity_key(),
        )
        self._rejects, self._result = rejects, result

    def take(self, file: str, lines: Iterable[Line]) -> None:
        """Publish what is an event, reject what is none."""
        found: list[tuple[_Source, Event]] = []
        for number, text in lines:
            if text is None:
                self._reject(_Source(file, number, b""), "", f"is longer than {LONGEST_LINE >> 20} MB")
            elif text.strip() and not text.startswith(COMMENT):
                source = _Source(file, number, text)
                with self._rejecting(source):
                    found.append((source, hashed(event_from_json(text), self._key, self._contract)))
        self._publish(found)

    def _publish(self, found: list[tuple[_Source, Event]]) -> None:
        try:
            answers = self._publisher.publish([event for _, event in found])
        except (
            MalformedEvent
        ):  # nothing was appended, unless it is the log that refuses what the contract takes
            encodable = self._encodable(found)
            if len(encodable) == len(found):
                raise
            self._publish(encodable)
            return
        for (source, event), answer in zip(found, answers, strict=True):
            self._count(source, event, answer)

    def _encodable(self, found: list[tuple[_Source, Event]]) -> list[tuple[_Source, Event]]:
        """Those that the contract can encode; the others are rejected."""
        kept = []
        for source, event in found:
            with self._rejecting(source):
                to_wire(event, self._contract)
                kept.append((source, event))
        return kept

    @contextmanager
    def _rejecting(self, source: _Source) -> Iterator[None]:
        """Reject the line when it turns out to be no event."""
        try:
            yield
        except MalformedEvent as error:
            self._reject(source, error.field, error.reason)

    def tell_the_rest(self) -> None:
        """How many rejects were not told one by one."""
        untold = self._result.rejects - len(self._result.rejected)
        if untold:
            where = "the rejects file has all" if self._rejects else "--rejects FILE keeps them all"
            self._display.say(f"{count(untold, 'more line')} rejected; {where}")

    def _count(self, source: _Source, event: Event, answer: Appended) -> None:
        if answer.conflict:
            at = answer.position
            reason = (
                f"was used before, for other content, at {at.topic}/{at.partition} offset {at.offset}; "
                "give this event an id of its own"
            )
            self._result.conflicts += 1
            self._reject(source, "event_id", reason)
        elif answer.duplicate:
            self._result.duplicates += 1
            if len(self._result.repeated) < MOST_TOLD:
                self._result.repeated.append(
                    Repeat(source.file, source.number, event.event_id, *answer.position)
                )
        else:
            self._result.published += 1

    def _reject(self, source: _Source, field: str, reason: str) -> None:
        reject = Reject(source.file, source.number, field, " ".join(reason.split()))
        self._result.rejects += 1
        if self._result.rejects <= MOST_TOLD:
            self._result.rejected.append(reject)
            self._display.say(str(reject))
        if self._rejects is not None:
            self._rejects.write(f"# {reject}\n".encode() + source.text + b"\n")
