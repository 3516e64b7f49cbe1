"""`tillroll dead-letters`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, say, show, table
from tillroll.cli.query import parse_conditions
from tillroll.errors import UsageError

if TYPE_CHECKING:
    from tillroll.services.projector.retry import Retried
    from tillroll.store.postgres import DeadLetter

__all__ = ["dead_letters"]

ADMISSION = "admission"
"""What a reader calls the projection '' of admission's own."""

LISTED = 50
"""Dead letters that a list shows unless --limit says otherwise."""

_WHERE = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only those with this value: error (or reason), record, projection, topic, message (part of it), ...; "
    "repeatable.",
)
_IDS = click.argument("ids", nargs=-1, type=int, metavar="[ID]...")


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that could not be applied, and what to do about them."""


@dead_letters.command("list")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=0), default=LISTED, show_default=True, help="Rows at most.")
@_WHERE
@with_options("store")
def list_(given: Given, name: str | None, limit: int, conditions: tuple[str, ...]) -> None:
    """Dead letters, oldest first, of one projection or all; NAME `admission` for conflicting event ids."""
    from tillroll.store.dead_letters import find

    given.require_data()
    letters = find(given.store, "" if name == ADMISSION else name, limit + 1, _chosen(conditions))
    if len(letters) > limit:
        say(f"these are the first {limit}; --limit N shows more")
    show(given, Letters([Letter.of(letter) for letter in letters[:limit]]))


@dead_letters.command("show")
@click.argument("id_", metavar="ID", type=int)
@with_options("store")
def show_(given: Given, id_: int) -> None:
    """One dead letter with everything that is known of it."""
    given.require_data()
    show(given, Letter.of(_found(given, [id_])[0]))


@dead_letters.command()
@_IDS
@click.option("--all", "everything", is_flag=True, help="Retry every dead letter of projections.")
@_WHERE
@with_options("log", "store", "projections")
def retry(given: Given, ids: tuple[int, ...], everything: bool, conditions: tuple[str, ...]) -> None:
    """Apply events again, after the handler was mended: the same way, each in one transaction."""
    from tillroll.services.projector.retry import Retrier

    if bool(ids) == (everything or bool(conditions)):
        raise UsageError("name the dead letters to retry by ID, or give --all or --where")
    given.require_data(also_log=True)
    letters = _found(given, ids) if ids else _all(given, conditions)
    given.store.bind(given.log.identity)
    retrier = Retrier(given.log, given.store, given.contract, {p.name: p for p in given.projections()})
    try:
        show(given, Retries([retrier.retry(letter) for letter in letters]))
    finally:
        retrier.close()


@dead_letters.command()
@_IDS
@_WHERE
@with_options("store")
def discard(given: Given, ids: tuple[int, ...], conditions: tuple[str, ...]) -> None:
    """Forget dead letters for good; their events stay in the log, but not in the read model."""
    from tillroll.store.dead_letters import discard as forget

    if bool(ids) == bool(conditions):
        raise UsageError("name the dead letters to discard by ID, or choose them by --where")
    given.require_data()
    letters = _found(given, ids) if ids else _all(given, conditions, admission=True)
    show(given, Discarded(forget(given.store, [letter.id for letter in letters])))


def _found(given: Given, ids: Sequence[int]) -> "list[DeadLetter]":
    from tillroll.store.dead_letters import get

    letters = get(given.store, list(dict.fromkeys(ids)))
    if missing := set(ids) - {letter.id for letter in letters}:
        raise UsageError(
            f"there is no dead letter {', '.join(map(str, sorted(missing)))}; `tillroll dead-letters list` has them"
        )
    return letters


def _all(given: Given, conditions: Sequence[str], admission: bool = False) -> "list[DeadLetter]":
    from tillroll.store.dead_letters import find

    found = find(given.store, where=_chosen(conditions))
    return [letter for letter in found if letter.projection or admission]


def _chosen(conditions: Sequence[str]) -> list[tuple[str, str]]:
    """FIELD=VALUE in two; admission's own projection is called ''."""
    return [
        (name, "" if name == "projection" and value == ADMISSION else value)
        for name, value in parse_conditions(conditions)
    ]


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

    def _plainly(self) -> str:
        """Where it stands, what it is, what went wrong, and what to do."""
        what = f"a {self.record}" if self.record else "bytes that are no event"
        where = f"{what} at {self.topic}/{self.partition} offset {self.offset}"
        if self.projection == ADMISSION:
            return (
                f"{where} uses an event_id that an earlier event has; publish it anew with an id of its own"
            )
        todo = (
            f"mend the handler, then `tillroll dead-letters retry {self.id}`"
            if self.record
            else f"have its publisher mended; `tillroll dead-letters discard {self.id}` forgets it"
        )
        return f"{self.projection} version {self.version} could not apply {where}: {self.error}; {todo}"

    def text(self) -> Iterator[str]:
        """See Result."""
        yield self._plainly()
        yield ""
        fields = asdict(self)
        trace = fields.pop("traceback")
        yield from (f"{name:<11}{'' if value is None else value}".rstrip() for name, value in fields.items())
        if trace:
            yield ""
            yield trace.rstrip()


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
                f"{at.topic}/{at.partition}@{at.offset}",
                at.record,
                at.error,
                _short(at.message),
            )
            for at in self.letters
        ]
        yield from table(("id", "projection", "position", "event type", "error", "message"), rows)


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
