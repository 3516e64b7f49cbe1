"""The ledger of a reactor: what it acted on, and how far it has read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from tillroll.database import Connection
from tillroll.errors import UsageError
from tillroll.log.port import TopicPartition
from tillroll.store.postgres import PostgresStore

__all__ = ["Ledger"]

REACTOR_LOCK = 0x7469_6C72  # "tilr": with the hash of its name, held while a reactor runs


class Ledger:
    """Written by one process at a time, on the connection that holds the reactor's lock: whoever loses the
    connection has lost the right to write. Raises StoreUnavailable, DiskFull.
    """

    def __init__(self, store: PostgresStore, reactor: str, connection: Connection):
        self._store, self._reactor, self._connection = store, reactor, connection

    @classmethod
    def open(cls, store: PostgresStore, reactor: str) -> Self:
        """The ledger of `reactor`. Raises UsageError when another process runs it."""
        with store.connection():  # which makes the tables
            connection = store.database.connect()
        with store.database.translated():
            row = connection.execute(
                "select pg_try_advisory_lock(%s, hashtext(%s))", [REACTOR_LOCK, reactor]
            ).fetchone()
        if row is None or not row[0]:
            connection.close()
            raise UsageError(
                f"the reactor {reactor} runs already; give this one another --name, or stop that one"
            )
        return cls(store, reactor, connection)

    def close(self) -> None:
        """Let another process run the reactor."""
        self._connection.close()

    def positions(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, int]]:
        """Per partition from where on events are live, and the offset to read next.

        A partition that the reactor never read is live from its end in `ends` on: the past is no reason to act.
        """
        with self._store.database.translated(), self._connection.transaction():
            for origin, end in sorted(ends.items()):
                self._connection.execute(
                    "insert into tillroll.reactors values (%s, %s, %s, %s, %s) on conflict do nothing",
                    [self._reactor, *origin, end, end],
                )
            rows = self._connection.execute(
                "select topic, partition, live_from, next_offset from tillroll.reactors where reactor = %s",
                [self._reactor],
            ).fetchall()
        found = {TopicPartition(topic, partition): (live, at) for topic, partition, live, at in rows}
        return {origin: found[origin] for origin in ends}

    def replay(self, origin: TopicPartition, start: int) -> None:
        """Read again from `start` on; what was read before is replayed then, and not live any more."""
        with self._store.database.translated():
            self._connection.execute(
                "update tillroll.reactors set live_from = greatest(live_from, next_offset), next_offset = %s "
                "where reactor = %s and topic = %s and partition = %s",
                [start, self._reactor, *origin],
            )

    def begin(self, event_ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Note that acts on these events begin; those that are done already, and those that were begun before."""
        with self._store.database.translated(), self._connection.transaction():
            rows = self._connection.execute(
                "select event_id::text, done_at is not null from tillroll.reactions "
                "where reactor = %s and event_id = any(%s::uuid[])",
                [self._reactor, list(event_ids)],
            ).fetchall()
            self._connection.execute(
                "insert into tillroll.reactions (reactor, event_id) select %s, unnest(%s::uuid[]) on conflict do nothing",
                [self._reactor, list(event_ids)],
            )
        return {id_ for id_, done in rows if done}, {id_ for id_, done in rows if not done}

    def finish(self, event_ids: Iterable[str], origin: TopicPartition, next_offset: int) -> None:
        """The acts on these events are done, and everything before `next_offset` is read."""
        with self._store.database.translated(), self._connection.transaction():
            self._connection.execute(
                "update tillroll.reactions set done_at = now() where reactor = %s and event_id = any(%s::uuid[])",
                [self._reactor, list(event_ids)],
            )
            self._connection.execute(
                "update tillroll.reactors set next_offset = %s where reactor = %s and topic = %s and partition = %s",
                [next_offset, self._reactor, *origin],
            )
