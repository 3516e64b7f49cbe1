"""The candidate against the live version, at one and the same position of every partition."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tillroll.contract.registry import load_contract
from tillroll.errors import TillrollError, TooManyFailures, UsageError
from tillroll.history.behind import Behind, Rule, behind
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.log.port import EventLog, Positions
from tillroll.projection.declare import Projection
from tillroll.services.projector.projector import Projector
from tillroll.services.replay.anew import folded_anew
from tillroll.services.replay.filling import by_its_code
from tillroll.store.comparing import Changed, LiveCopy, TableDifference, live_copy
from tillroll.store.locks import office, standing_still
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, find

__all__ = ["Comparison", "RowEvents", "compared", "comparing", "pair"]

STEP_SECONDS = 0.2
STUCK_SECONDS = 5.0  # without a move of the live version's positions; nobody projects it then


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two versions of a projection.

    positions: ``topic/partition`` to next offset, of both. begins: where the candidate was told to begin, '' = at the
    beginning; where it is given, events from before may be all that differs.
    """

    projection: str
    live: int
    candidate: int
    at: datetime
    positions: Mapping[str, int]
    begins: str
    tables: tuple[TableDifference, ...]

    @property
    def same(self) -> bool:
        """Whether readers would see the same rows."""
        return all(table.same for table in self.tables)

    @property
    def same_columns(self) -> bool:
        """Whether readers would see the same columns."""
        return all(table.same_columns for table in self.tables)


@dataclass(frozen=True, slots=True)
class RowEvents:
    """A row that differs, and the events behind it, by time of occurrence."""

    table: str
    key: Mapping[str, Any]
    events: Sequence[Behind]


class Compared:
    """A comparison, and as long as it is open, the rows that differ."""

    def __init__(self, found: Comparison, copy: LiveCopy, live: Rule, candidate: Rule):
        self.found, self._copy, self._live, self._candidate = found, copy, live, candidate

    def rows(self, table: str, limit: int | None = None) -> Iterator[Changed]:
        """Rows of `table` that differ, by key; one at a time may be read."""
        return self._copy.changed(self._candidate.projection, table, limit)

    def behind(self, history: History, rows: Mapping[str, Sequence[Changed]]) -> list[RowEvents]:
        """The events behind `rows`, by table: what each gave to the row by the live rule and by the candidate's.

        From where each version began up to the positions of the comparison, which need not be open any more.
        """
        wanted = [(table, row.key) for table, changed in rows.items() for row in changed]
        found = behind(history, self._live, self._candidate, wanted)
        return [RowEvents(*row, events) for row, events in zip(wanted, found, strict=True)]


def pair(store: PostgresStore, name: str) -> tuple[Version, Version]:
    """The live version and the candidate. Raises UsageError where there is none of either."""
    with store.connection() as connection:
        versions = find(connection, name)
    live = [version for version in versions if version.state is State.LIVE]
    found = [
        version for version in versions if version.state in (State.CANDIDATE, State.FILLING, State.PAUSED)
    ]
    if not live or not found:
        what = "no live version" if not live else "no candidate"
        raise UsageError(
            f"{name} has {what}; `tillroll replay rebuild {name}` fills one, `tillroll replay status` has all"
        )
    if found[-1].state is not State.CANDIDATE:
        raise UsageError(
            f"version {found[-1].number} of {name} is not filled yet ({found[-1].state}); `tillroll replay rebuild {name}` "
            "goes on with it"
        )
    return live[-1], found[-1]


@contextmanager
def comparing(log: EventLog, store: PostgresStore, name: str) -> Iterator[Compared]:
    """Compare the candidate of `name` with its live version, which nobody has to stop.

    The candidate stands still meanwhile; followers take it up again. Where the live version's handler stops it behind
    the candidate, what the candidate came to at that position is folded anew. Raises UsageError, TillrollError.
    """
    store.bind(log.identity)
    old, new = pair(store, name)
    live, candidate = by_its_code(old), by_its_code(new)
    with office(store, name), standing_still(store, name, new.number):
        stuck = _wait_for(log, store, live, store.positions(candidate))
        with live_copy(store, live, candidate.only) as copy, ExitStack() as until:
            if stuck:
                candidate = until.enter_context(folded_anew(log, store, new, candidate, copy.positions))
            else:
                _bring_to(log, store, candidate, copy.positions)
            tables = tuple(copy.differences(candidate))
            places = {f"{at.topic}/{at.partition}": offset for at, offset in sorted(copy.positions.items())}
            begins = str(new.limits.get("from", ""))
            found = Comparison(name, old.number, new.number, datetime.now(UTC), places, begins, tables)
            _keep(store, found)
            rules = (
                Rule(projection, Slice(start=version.start, stop=copy.positions))
                for projection, version in ((live, old), (candidate, new))
            )
            yield Compared(found, copy, *rules)


def compared(store: PostgresStore, name: str, live: int, candidate: int) -> Mapping[str, Any] | None:
    """The result of the last comparison of these two versions; None where there was none."""
    with store.connection() as connection:
        row = connection.execute(
            "select result from tillroll.compared where projection = %s and live = %s and candidate = %s",
            [name, live, candidate],
        ).fetchone()
    return row[0] if row else None


def _wait_for(log: EventLog, store: PostgresStore, live: type[Projection], positions: Positions) -> bool:
    """Until the live version is at least at `positions`; it is brought there where nobody projects it.

    Whether it is stuck instead: its handler fails at what comes next.
    """
    moved, before = time.monotonic(), store.positions(live)
    while _behind(before, positions):
        if time.monotonic() - moved > STUCK_SECONDS:
            try:
                _bring_to(
                    log,
                    store,
                    live,
                    {origin: max(at, before.get(origin, 0)) for origin, at in positions.items()},
                )
            except TooManyFailures:
                return True
            return False
        time.sleep(STEP_SECONDS)
        now = store.positions(live)
        if now != before:
            moved, before = time.monotonic(), now
    return False


def _bring_to(
    log: EventLog, store: PostgresStore, projection: type[Projection], positions: Positions
) -> None:
    """Project up to exactly `positions`. Raises TillrollError where it stands beyond them."""
    beyond = [origin for origin, at in store.positions(projection).items() if at > positions.get(origin, 0)]
    if beyond:
        raise TillrollError(
            f"version {projection.version} of {projection.name} stands beyond the live one in "
            f"{beyond[0].topic}/{beyond[0].partition}; project the live one, then compare again"
        )
    projector = Projector(projection, log, store, load_contract(), limit=positions)
    with closing(projector):
        while projector.lag(positions) > 0:
            projector.step(STEP_SECONDS)
        projector.flush()


def _behind(at: Positions, positions: Positions) -> bool:
    return any(at.get(origin, 0) < offset for origin, offset in positions.items())


def _keep(store: PostgresStore, found: Comparison) -> None:
    result = json.dumps(asdict(found) | {"same": found.same}, default=str)
    with store.connection() as connection:
        connection.execute(
            "insert into tillroll.compared values (%s, %s, %s, now(), %s) "
            "on conflict (projection, live, candidate) do update set at = now(), result = excluded.result",
            [found.projection, found.live, found.candidate, result],
        )
