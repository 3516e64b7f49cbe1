"""Consumer groups for logs that have none of their own: members share the partitions, evenly and by name.

Who is a member is the log's business (`Membership`). Which partition is whose follows from the sorted list
of members alone, so all members that see the same list agree without talking. When they do not for a moment,
two may read one partition; the fencing epoch of the read model decides.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from tillroll.log.port import Batch, EventLog, OnAssigned, OnRevoked, Positions, TopicPartition

__all__ = ["GroupReader", "Membership", "share"]

REFRESH_SECONDS = 1.0
POLL_BYTES = 16_000_000  # measured best: larger costs memory, smaller costs calls


class Membership(Protocol):
    """One member's view of its group."""

    me: str

    def members(self) -> Sequence[str]:
        """Every live member, this one included."""
        ...

    def ahead(self, positions: Positions) -> Collection[TopicPartition]:
        """The partitions that do not end where we stand: worth a reading, in one question for all of them."""
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


class GroupReader:
    """The Subscription of a log that can read partitions and tell members apart."""

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
        self._all = [TopicPartition(topic, n) for topic in topics for n in range(log.partitions(topic))]
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0
        self._refresh_at = 0.0

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
        """Round the partitions, beginning one further each time so that none starves."""
        active = {origin: at for origin, at in self._positions.items() if origin not in self._paused}
        origins = sorted(self._membership.ahead(active)) if active else []
        if not origins:
            return []
        self._turn = (self._turn + 1) % len(origins)
        out: list[Batch] = []
        for origin in origins[self._turn :] + origins[: self._turn]:
            room = max_bytes - sum(len(batch.body) for batch in out)
            if room <= 0:
                break
            got = self._log.read(origin, self._positions[origin], room)
            if got:
                self._positions[origin] = got[-1].next_offset
                out.extend(got)
        return out
