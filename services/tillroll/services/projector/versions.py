"""Which versions of projections a process keeps up with the log, each by its own code."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tillroll.errors import DeclarationError
from tillroll.projection.code import Code, changes, code_of, recorded
from tillroll.projection.declare import Projection
from tillroll.store.postgres import PostgresStore
from tillroll.store.switching import switch
from tillroll.store.versions import PROJECTED, State, Version, find, mark

__all__ = ["Resolved", "resolve"]


@dataclass
class Resolved:
    """Versions to project, each with its name (a live one has the projection's), those first; what is to be said of them.

    lost: by name, why a version cannot be projected any more.
    """

    projections: dict[type[Projection], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: dict[str, DeclarationError] = field(default_factory=dict)


def resolve(store: PostgresStore, projections: Iterable[type[Projection]]) -> Resolved:
    """The versions of `projections` that are to be projected; first ones are made.

    A version is projected by the code that it records. Where the code at hand gives other rows than the live
    version's, that one goes on by its own, and a note says what changed and what to do. Where only views changed,
    readers get the new ones at once.
    """
    out, kept = Resolved(), dict[type[Projection], str]()
    for projection in projections:
        with store.connection() as connection:
            versions = find(connection, projection.name)
        if not versions:
            store.install(projection)
            out.projections[projection] = projection.name
            continue
        code = code_of(projection)
        for version in versions:
            if version.state in PROJECTED:
                found = _by_its_code(store, projection, code, version, out)
                if found is not None and version.state is State.LIVE:
                    out.projections[found] = found.name
                elif found is not None:
                    kept[found] = found.schema()
        out.notes += _advice(projection, code, versions)
    out.projections |= kept
    return out


def _by_its_code(
    store: PostgresStore, projection: type[Projection], code: Code, version: Version, out: Resolved
) -> type[Projection] | None:
    """The class that projects `version`; None, and the reason in `out`, where its code cannot be run any more."""
    mine = projection.numbered(version.number, version.limits.get("only"))
    if version.code is None:  # of a store that recorded no code yet
        _note_code(store, version, code)
        return mine
    if version.code.same_rows(code):
        if version.state is State.LIVE and not version.code.same_views(code):
            _renew_views(store, version, mine, code)
            out.notes.append(
                f"{version.name}: {'; '.join(changes(version.code.views, code.views))}: readers see it from now on"
            )
        return mine
    try:
        found = recorded(version.name, version.number, version.code)
    except DeclarationError as error:
        out.lost[version.name if version.state is State.LIVE else mine.schema()] = error
        return None
    return found.numbered(version.number, version.limits.get("only"))


def _note_code(store: PostgresStore, version: Version, code: Code) -> None:
    with store.connection() as connection:
        mark(connection, version.name, version.number, version.state, code)


def _renew_views(store: PostgresStore, version: Version, mine: type[Projection], code: Code) -> None:
    assert version.code is not None
    old = recorded(version.name, version.number, version.code)
    switch(
        store,
        old,
        mine,
        lambda connection: mark(connection, version.name, version.number, version.state, code),
    )


def _advice(projection: type[Projection], code: Code, versions: list[Version]) -> list[str]:
    """What to do where the code at hand is not that of the live version."""
    live = next((version for version in versions if version.state is State.LIVE), None)
    if live is None or live.code is None or live.code.same_rows(code):
        return []
    name, told = projection.name, "; ".join(changes(live.code.rows, code.rows))
    others = [v for v in versions if v.code is not None and v.code.same_rows(code)]
    if others:
        todo = f"version {others[-1].number} has the code at hand ({others[-1].state}): see `tillroll replay status`"
    else:
        todo = f"`tillroll replay rebuild {name}` fills version {versions[-1].number + 1} by the code at hand"
    return [f"{name}: {told}; version {live.number} stays live and goes on by its own code; {todo}"]
