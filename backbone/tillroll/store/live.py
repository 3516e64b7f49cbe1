"""The projections as readers see them: live versions by the code that they record, whatever code is at hand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tillroll.errors import DeclarationError, Unavailable
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


def as_live(store: PostgresStore, projections: Iterable[type[Projection]], name: str) -> Live:
    """`projections`, with the one called `name`, or that has a view called so, as its live version records it.

    It is the one at hand where there is no live version, or that one has the same code, or the store is down. A live
    version that none of `projections` declares is found by its record.
    """
    at_hand = list(projections)
    mine = next((each for each in at_hand if name == each.name or name in view_names(each)), None)
    try:
        if mine is None:
            return Live([*at_hand, *undeclared(store, at_hand).projections])
        version = next((each for each in _live(store) if each.name == mine.name), None)
    except Unavailable as error:
        return Live(at_hand, [f"{mine.name}: by the code at hand, since {error}"] if mine else [])
    if version is None or version.code is None or version.code.same_rows(code_of(mine)):
        return Live(at_hand)
    found = recorded(version.name, version.number, version.code)
    others = [each for each in at_hand if each is not mine]
    note = (
        f"{mine.name}: by the code of version {version.number}, which readers see; the code at hand differs"
    )
    return Live([found, *others], [note])


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
