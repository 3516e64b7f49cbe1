"""The projections as readers see them: live versions by the code that they record, whatever code is at hand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tillroll.errors import AccessRefused, DeclarationError, Unavailable
from tillroll.projection.code import code_of, recorded
from tillroll.projection.declare import Projection
from tillroll.projection.registry import view_names
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find

__all__ = ["Live", "as_live", "undeclared"]


@dataclass(frozen=True, slots=True)
class Live:
    """Projections, and what is to be said of them."""

    projections: Sequence[type[Projection]]
    notes: Sequence[str] = ()


def as_live(store: PostgresStore, projections: Iterable[type[Projection]], name: str, log: str) -> Live:
    """`projections`, with the one called `name`, or that has a view called so, as its live version records it.

    log: the identity of the log that is asked; a store of another one says nothing about it. The one at hand stays where
    there is no live version, that one has the same code, or cannot be had: then a note says why. A name that none of
    `projections` has is looked for in what live versions record.
    """
    at_hand = list(projections)
    mine = next((each for each in at_hand if name == each.name or name in view_names(each)), None)
    try:
        if not _is_of(store, log):
            return Live(at_hand)
        return _by_record(store, at_hand, mine)
    except (Unavailable, AccessRefused, DeclarationError) as error:
        return Live(at_hand, [f"{mine.name}: by the code at hand, since {error}"] if mine else [])


def _is_of(store: PostgresStore, log: str) -> bool:
    with store.connection() as connection:
        row = connection.execute("select log_identity from tillroll.store").fetchone()
    return row is not None and row[0] == log


def _by_record(store: PostgresStore, at_hand: list[type[Projection]], mine: type[Projection] | None) -> Live:
    known = {each.name: each for each in at_hand}
    notes = list[str]()
    for version in _live(store):
        if version.code is None or (mine is not None and version.name != mine.name):
            continue
        if version.name in known and version.code.same_rows(code_of(known[version.name])):
            continue
        known[version.name] = recorded(version.name, version.number, version.code)
        if mine is not None:
            notes.append(
                f"{mine.name}: by the code of version {version.number}, which readers see; the code at hand differs"
            )
    return Live(list(known.values()), notes)


def undeclared(store: PostgresStore, projections: Iterable[type[Projection]]) -> Live:
    """Live versions of projections that none of `projections` is; of those that cannot be run, why."""
    known = {each.name for each in projections}
    found, notes = list[type[Projection]](), list[str]()
    for version in _live(store):
        if version.name not in known and version.code is not None:
            try:
                found.append(recorded(version.name, version.number, version.code))
                notes.append(
                    f"{version.name}: no file at hand declares it (--projections names folders); version "
                    f"{version.number} goes on by its own code"
                )
            except DeclarationError as error:
                notes.append(f"{version.name}: no file at hand declares it, and {error}")
    return Live(found, notes)


def _live(store: PostgresStore) -> Iterator[Version]:
    with store.connection() as connection:
        versions = find(connection)
    return (version for version in versions if version.state is State.LIVE)
