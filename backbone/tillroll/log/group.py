"""Consumer groups for logs that have none of their own: members share the partitions, evenly and by name.

Who is a member is the log's business (`Membership`). Which partition is whose follows from the sorted list
of members alone, so all members that see the same list agree without talking. When they do not for a moment,
two may read one partition; the fencing epoch of the read model decides.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from tillroll.log import extent
from tillroll.log.port import Batch, EventLog, OnAssigned, OnRevoked, Positions, TopicPartition

__all__ = ["GroupReader", "Membership", "share"]

REFRESH_SECONDS = 1.0
POLL_BYTES = 16_000_000  # measured best: larger costs memory, smaller costs calls
MUCH = 5_000  # records of a poll, from which on there is likely more to come


class Membership(Protocol):
    """One member's view of its group."""

    me: str

    def members(self) -> Sequence[str]:
        """Every live member, this one included."""
        ...

    def ahead(self, positions: Positions) -> Mapping[TopicPartition, Sequence[Batch]]:
        """The partitions that do not end where we stand, in one question for all of them.

        With each of them all that comes there, where that is little and at hand; nothing where it is to be read.
        """
        ...

    def wait(self, timeout: float) -> None:
        """Sleep until the log grew, at most `timeout` seconds."""
        ...

    def leave(self) -> None:
        """Stop being a member."""
        ...


def share(partitions: Iterable[TopicPartition], members: Sequence[str], me: str) -> frozenset[TopicPartition]:
    """The partitions of `me`: every n-th of the sorted list, n being the number of members."""
    ranks = sorted(members)
    mine = ranks.index(me)
    return frozenset(sorted(partitions)[mine :: len(ranks)])


@dataclass(frozen=True, slots=True)
class _Reading:
    """One round of the partitions, from these positions on, under way."""

    positions: Positions
    max_bytes: int
    found: Future[list[Batch]]


class GroupReader:
    """The Subscription of a log that can read partitions and tell members apart.

    Where much comes, the next round is read while its caller works on this one, unless that one takes small bites.
    """

    def __init__(
        self,
        log: EventLog,
        topics: Sequence[str],
        membership: Membership,
        on_assigned: OnAssigned,
        on_revoked: OnRevoked,
    ):
        self._log, self._membership = log, membership
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._all = extent.origins(log, topics)
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0
        self._refresh_at = 0.0
        self._beside = ThreadPoolExecutor(1, "tillroll-read")
        self._ahead: _Reading | None = None

    def poll(self, timeout: float, max_bytes: int = POLL_BYTES) -> Sequence[Batch]:
        """See Subscription.poll."""
        self._refresh()
        batches = self._read(max_bytes)
        if not batches and timeout > 0:
            self._membership.wait(min(timeout, REFRESH_SECONDS))
            batches = self._read(max_bytes)
        return batches

    def seek(self, origin: TopicPartition, offset: int) -> None:
        """See Subscription.seek."""
        if origin in self._positions:
            self._positions[origin] = offset

    def pause(self, origins: Iterable[TopicPartition]) -> None:
        """See Subscription.pause."""
        self._paused.update(origins)

    def resume(self, origins: Iterable[TopicPartition]) -> None:
        """See Subscription.resume."""
        self._paused.difference_update(origins)

    def assignment(self) -> frozenset[TopicPartition]:
        """See Subscription.assignment."""
        return frozenset(self._positions)

    def close(self) -> None:
        """See Subscription.close."""
        held = self.assignment()
        self._positions.clear()
        self._beside.shutdown()
        try:
            if held:
                self._on_revoked(held)
        finally:
            self._membership.leave()

    def _refresh(self) -> None:
        """Take up and hand over partitions when the group has changed."""
        if time.monotonic() < self._refresh_at:
            return
        self._refresh_at = time.monotonic() + REFRESH_SECONDS
        mine = share(self._all, self._membership.members(), self._membership.me)
        if lost := self.assignment() - mine:
            for origin in lost:
                del self._positions[origin]
            self._paused -= lost
            self._on_revoked(lost)
        if won := mine - self.assignment():
            self._positions.update(self._on_assigned(won))

    def _read(self, max_bytes: int) -> list[Batch]:
        out = self._read_ahead(max_bytes) or self._round(self._active(), max_bytes)
        for batch in out:
            self._positions[batch.origin] = batch.next_offset
        if max_bytes == POLL_BYTES and sum(batch.count for batch in out) >= MUCH:
            positions = self._active()
            found = self._beside.submit(self._round, positions, max_bytes)
            self._ahead = _Reading(positions, max_bytes, found)
        return out

    def _read_ahead(self, max_bytes: int) -> list[Batch]:
        """What was read ahead of partitions that are still ours and stand where they stood."""
        reading, self._ahead = self._ahead, None
        if reading is None:
            return []
        found, active = reading.found.result(), self._active()
        valid = {origin for origin, at in reading.positions.items() if active.get(origin) == at}
        return [batch for batch in found if batch.origin in valid] if reading.max_bytes == max_bytes else []

    def _active(self) -> dict[TopicPartition, int]:
        return {origin: at for origin, at in self._positions.items() if origin not in self._paused}

    def _round(self, positions: Positions, max_bytes: int) -> list[Batch]:
        """Round the partitions, beginning one further each time so that none starves."""
        ahead = self._membership.ahead(positions) if positions else {}
        origins = sorted(ahead)
        if not origins:
            return []
        self._turn = (self._turn + 1) % len(origins)
        out, size = list[Batch](), 0
        for origin in origins[self._turn :] + origins[: self._turn]:
            if size >= max_bytes:
                break
            got = ahead[origin] or self._log.read(origin, positions[origin], max_bytes - size)
            out.extend(got)
            size += sum(len(batch.body) for batch in got)
        return out
