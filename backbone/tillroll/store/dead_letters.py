"""Dead letters in the store: what could not be applied, kept until it is retried.

One that is discarded is shown no more, but still known: the event is one that the read model does without.
"""

from collections.abc import Sequence
from typing import Any

from tillroll.errors import UsageError
from tillroll.log.port import Position
from tillroll.store.postgres import DeadLetter, PostgresStore

__all__ = ["ADMISSION", "FIELDS", "count", "discard", "find", "get", "names"]

ADMISSION = ""
"""The projection of dead letters that admission wrote: conflicts of event_id."""

_COLUMNS = (
    "id, projection, version, topic, partition, log_offset, record, event_id, error, message, traceback, "
    "to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
)


FIELDS = ("projection", "version", "topic", "partition", "record", "event_id", "error", "message")
"""What dead letters can be chosen by; `reason` is another name of `error`."""

_ALIASES = {"reason": "error"}


def find(
    store: PostgresStore,
    projection: str | None = None,
    limit: int | None = None,
    where: Sequence[tuple[str, str]] = (),
    discarded: bool = False,
) -> list[DeadLetter]:
    """Dead letters of `projection` (ADMISSION for admission's), of all when None; oldest first.

    where: (field, value) as text, a field given again meaning any of its values; `message` is searched for the value.
    discarded: also those that were discarded.
    Raises UsageError on a field that is none of FIELDS.
    """
    wanted: dict[str, list[str]] = {}
    for name, value in where:
        wanted.setdefault(_field(name), []).append(value)
    conditions = ["(%(projection)s::text is null or projection = %(projection)s)"]
    conditions += [] if discarded else ["not discarded"]
    for name in wanted:
        among = f"exists (select from unnest(%({name}_s)s::text[]) w where strpos(message, w) > 0)"
        conditions.append(
            among if name == "message" else f"coalesce({name}::text, '') = any(%({name}_s)s::text[])"
        )
    with store.connection() as connection:
        rows = connection.execute(
            f"select {_COLUMNS} from tillroll.dead_letters where {' and '.join(conditions)} "
            "order by id limit %(limit)s".encode(),
            {"projection": projection, "limit": limit}
            | {f"{name}_s": values for name, values in wanted.items()},
        ).fetchall()
    return [_letter(row) for row in rows]


def names(store: PostgresStore) -> set[str]:
    """The projections that have a version in the store."""
    with store.connection() as connection:
        return {row[0] for row in connection.execute("select name from tillroll.projections")}


def _field(name: str) -> str:
    found = _ALIASES.get(name, name)
    if found not in FIELDS:
        raise UsageError(f"dead letters have no {name!r}; they have {', '.join((*FIELDS, *_ALIASES))}")
    return found


def get(store: PostgresStore, ids: Sequence[int]) -> list[DeadLetter]:
    """The dead letters of these ids, in the order of the ids; unknown ids are left out."""
    with store.connection() as connection:
        rows = connection.execute(
            f"select {_COLUMNS} from tillroll.dead_letters where id = any(%s) and not discarded".encode(),
            [list(ids)],
        ).fetchall()
    found = {row[0]: _letter(row) for row in rows}
    return [found[id_] for id_ in ids if id_ in found]


def discard(store: PostgresStore, ids: Sequence[int]) -> list[int]:
    """Show these dead letters no more; returns the ids that there were."""
    with store.connection() as connection:
        rows = connection.execute(
            "update tillroll.dead_letters set discarded = true where id = any(%s) and not discarded returning id",
            [list(ids)],
        ).fetchall()
    return sorted(row[0] for row in rows)


def count(store: PostgresStore) -> dict[tuple[str, int], int]:
    """How many there are by projection and version; (ADMISSION, 0) for admission."""
    with store.connection() as connection:
        rows = connection.execute(
            "select projection, version, count(*) from tillroll.dead_letters where not discarded group by 1, 2"
        ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    id_, projection, version, topic, partition, offset, *rest = row
    return DeadLetter(id_, projection, version, Position(topic, partition, offset), *rest)
