"""`tillroll dead-letters`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tillroll.cli.letters import ADMISSION, Discarded, Letter, Letters, Retries, Shown, event_of
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import say, show
from tillroll.cli.query import parse_conditions
from tillroll.errors import UsageError

if TYPE_CHECKING:
    from tillroll.store.postgres import DeadLetter

__all__ = ["dead_letters"]

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
@with_options("store", "projections")
def list_(given: Given, name: str | None, limit: int, conditions: tuple[str, ...]) -> None:
    """Dead letters, oldest first, of one projection or all; NAME `admission` for conflicting event ids."""
    from tillroll.store.dead_letters import find

    given.require_data()
    letters = find(given.store, "" if name == ADMISSION else name, limit + 1, _chosen(conditions))
    if not letters and name is not None:
        _require_known(given, name)
    if len(letters) > limit:
        say(f"these are the first {limit}; --limit N shows more")
    show(given, Letters([Letter.of(letter) for letter in letters[:limit]]))


@dead_letters.command("show")
@click.argument("id_", metavar="ID", type=int)
@with_options("log", "store")
def show_(given: Given, id_: int) -> None:
    """One dead letter: what it is, where it came from, what went wrong and what to do; with the event from the log."""
    given.require_data()
    (letter,) = _found(given, [id_])
    show(given, Shown(Letter.of(letter), *event_of(given, letter.position)))


@dead_letters.command()
@_IDS
@click.option("--all", "everything", is_flag=True, help="Retry every dead letter of projections.")
@_WHERE
@click.option(
    "--mended",
    is_flag=True,
    help="By the code at hand, which the version goes on by from then on: for a change that concerns failed events "
    "alone, as `tillroll verify` will tell. For any other, rebuild.",
)
@with_options("log", "store", "projections")
def retry(
    given: Given, ids: tuple[int, ...], everything: bool, conditions: tuple[str, ...], mended: bool
) -> None:
    """Apply events again, each in one transaction, by the code of their version or, --mended, by that at hand."""
    from tillroll.services.projector.retry import Retrier

    if bool(ids) == (everything or bool(conditions)):
        raise UsageError("name the dead letters to retry by ID, or give --all or --where")
    given.require_data(also_log=True)
    letters = _found(given, ids) if ids else _all(given, conditions)
    given.store.bind(given.log.identity)
    at_hand = {projection.name: projection for projection in given.projections()}
    retrier = Retrier(given.log, given.store, given.contract, at_hand, mended)
    try:
        show(given, Retries([retrier.retry(letter) for letter in letters]))
    finally:
        retrier.close()


@dead_letters.command()
@_IDS
@_WHERE
@with_options("store")
def discard(given: Given, ids: tuple[int, ...], conditions: tuple[str, ...]) -> None:
    """Show dead letters no more; their events stay in the log, but not in the read model."""
    from tillroll.store.dead_letters import discard as forget

    if bool(ids) == bool(conditions):
        raise UsageError("name the dead letters to discard by ID, or choose them by --where")
    given.require_data()
    letters = _found(given, ids) if ids else _all(given, conditions, admission=True)
    show(given, Discarded(forget(given.store, [letter.id for letter in letters])))


def _require_known(given: Given, name: str) -> None:
    """Refuse a name that nothing has: that it has no dead letters would be true, and mislead."""
    from tillroll.store.dead_letters import names

    known = {ADMISSION, *names(given.store), *(projection.name for projection in given.projections())}
    if name not in known:
        raise UsageError(f"there is no projection {name!r}; there are {', '.join(sorted(known))}")


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
