"""Dead letters as they are shown: one in plain words, several as a table, and what became of them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tillroll.cli.options import Given
from tillroll.cli.output import as_json, cell, count, table
from tillroll.errors import EventUnfit, MalformedEvent, TillrollError

if TYPE_CHECKING:
    from tillroll.log.port import Position
    from tillroll.services.projector.retry import Retried
    from tillroll.store.postgres import DeadLetter

__all__ = ["ADMISSION", "Discarded", "Letter", "Letters", "Retries", "Shown", "event_of"]

ADMISSION = "admission"
"""What a reader calls the projection '' of admission's own."""

Event = Mapping[str, Any]
"""The fields of an event, its type in front: what `tillroll publish` takes."""


def event_of(given: Given, position: "Position") -> tuple[Event | None, str]:
    """The event that the log holds at `position`; or None, and why: '' where the bytes there are none."""
    if given.log_address is None and not (given.data / "postgres").is_dir():
        return None, f"there is no log in {given.data}; name it with --log"
    try:
        given.store.bind(given.log.identity)
        return _read(given, position), ""
    except MalformedEvent:
        return None, ""
    except TillrollError as error:
        return None, " ".join(str(error).split())


def _read(given: Given, position: "Position") -> Event:
    from tillroll.contract.wire import decode
    from tillroll.log.port import TopicPartition
    from tillroll.log.records import read_records

    topic, partition, offset = position
    batches = given.log.read(TopicPartition(topic, partition), offset, 1)
    rows = read_records([replace(batch, start=offset, stop=offset + 1) for batch in batches[:1]])
    if rows.is_empty():
        raise TillrollError(f"the log holds nothing at {topic}/{partition} offset {offset} any more")
    schema, fields = decode(rows["value"][0] or b"", given.contract)
    return {"type": schema.record, **fields}


@dataclass(frozen=True)
class Letter:
    """A dead letter as it is shown. offset: in the partition; record: None where the bytes are no event."""

    id: int
    projection: str
    version: int
    topic: str
    partition: int
    offset: int
    record: str | None
    event_id: str | None
    error: str
    message: str
    created_at: str
    traceback: str

    @classmethod
    def of(cls, letter: "DeadLetter") -> "Letter":
        """The store's dead letter, for showing."""
        return cls(
            letter.id,
            letter.projection or ADMISSION,
            letter.version,
            *letter.position,
            letter.record,
            letter.event_id,
            letter.error,
            letter.message,
            letter.created_at,
            letter.traceback,
        )


@dataclass(frozen=True)
class Shown:
    """One dead letter with its event, or with the reason why that is missing."""

    letter: Letter
    event: Event | None
    missing: str

    def data(self) -> dict[str, Any]:
        """What --json prints: the fields of the letter, and the event or null."""
        return {**asdict(self.letter), "event": self.event}

    def text(self) -> Iterator[str]:
        """See Result."""
        yield self._wrong()
        yield self._source()
        yield self._todo()
        yield ""
        fields = asdict(self.letter)
        trace = fields.pop("traceback")
        yield from (f"{name:<11}{cell(value)}".rstrip() for name, value in fields.items())
        if self.event is not None:
            yield f"{'event':<11}{as_json(self.event, None)}"
        if trace:
            yield ""
            yield trace.rstrip()

    def _type(self) -> str | None:
        return self.event["type"] if self.event is not None else self.letter.record

    def _wrong(self) -> str:
        """What it is and what went wrong."""
        at = self.letter
        if at.projection == ADMISSION:
            return f"{_a(self._type(), 'an event')} has an event_id that an earlier event has: {at.message}"
        what = _a(self._type(), "bytes that are no event")
        return (
            f"{at.projection} version {at.version} could not apply {what}: {at.error}: {_short(at.message)}"
        )

    def _source(self) -> str:
        """Whom it is from, when it occurred, where it stands."""
        where = f"stands at {self.letter.topic}/{self.letter.partition} offset {self.letter.offset}"
        if self.event is None:
            return f"It {where}" + (f"; what it says cannot be read: {self.missing}" if self.missing else "")
        told = self.event
        whom = f"source {told['source']}, channel {told['channel']}"
        return f"It is from {whom}, occurred at {cell(told['occurred_at'])}, and {where}"

    def _todo(self) -> str:
        """What to do next."""
        id_ = self.letter.id
        if self.letter.projection == ADMISSION:
            return f"To do: publish it anew with an id of its own, then `tillroll dead-letters discard {id_}`"
        if self.letter.record is None and self.event is not None:
            return f"To do: it can be read by now, so `tillroll dead-letters retry {id_}`"
        if self.letter.record is None:
            return f"To do: have its publisher mended; `tillroll dead-letters discard {id_}` forgets it"
        if self.letter.error == EventUnfit.__name__:
            return (
                f"To do: have its publisher send what it meant under an id of its own; `tillroll dead-letters discard {id_}` "
                "forgets this one"
            )
        return f"To do: mend the handler, then `tillroll dead-letters retry {id_} --mended`"


def _a(record: str | None, otherwise: str) -> str:
    if record is None:
        return otherwise
    return f"{'an' if record[0] in 'AEIOU' else 'a'} {record}"


@dataclass(frozen=True)
class Letters:
    """Several dead letters."""

    letters: list[Letter]

    def data(self) -> Any:
        """What --json prints."""
        return self.letters

    def text(self) -> Iterator[str]:
        """See Result."""
        if not self.letters:
            yield "no dead letters"
            return
        rows = [
            (
                at.id,
                at.projection,
                at.version or None,
                f"{at.topic}/{at.partition}@{at.offset}",
                at.record,
                at.error,
                _short(at.message),
            )
            for at in self.letters
        ]
        yield from table(("id", "projection", "version", "position", "event type", "error", "message"), rows)


@dataclass(frozen=True)
class Retries:
    """What became of dead letters that were retried."""

    retried: "list[Retried]"

    @property
    def exit_code(self) -> int:
        """1 when any stays."""
        return int(not all(each.applied for each in self.retried))

    def text(self) -> Iterator[str]:
        """See Result."""
        for each in self.retried:
            if not each.applied:
                yield f"{each.id} stays: {each.reason}"
        applied = sum(each.applied for each in self.retried)
        yield f"{count(applied, 'dead letter')} applied, {len(self.retried) - applied:,} left"


@dataclass(frozen=True)
class Discarded:
    """Ids that are gone."""

    discarded: list[int]

    def text(self) -> Iterator[str]:
        """See Result."""
        yield f"{count(len(self.discarded), 'dead letter')} discarded"


def _short(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 80 else line[:77] + "..."
