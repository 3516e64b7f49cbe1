"""Group membership as kafka-python has it, with four mends.

In kafka-python 3.0.12 a member joins in the background, but the outcome only counts if it arrives while ``poll``
waits for it: one that arrives in between is thrown away, the member joins again, and so the whole group does.
Members that spend most of their time outside of ``poll``, as everyone does who folds what was read, can go on like
that for ever. Here the outcome is kept, and the member's heartbeats go on, until the next ``poll`` takes it up.

A member hears with its next heartbeat that another one has joined, and hands its share over then. Members mostly
join at the same time, so for a while after each join heartbeats are sent more often.

Who loses partitions joins once more, and with that they are free for another member. kafka-python does so at once, within the
same ``poll``. Here a listener with ``is_losing`` is asked, and ``poll`` returns to have them handed over first: what was read
of them is committed while it still counts, instead of being read again by whoever gets them. (Not so for a member that was
put out of its group: what it held is free already.)

Who was put out joins anew and claims what it held before, though others may hold it by now, or nobody: members that were put out
together could each wait for what another one claimed, and nobody read. Here a member claims what it holds, as in Java's client.
"""

import time
from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.base import MemberState
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.coordinator.heartbeat import Heartbeat

__all__ = ["PROVEN", "SteadyConsumer"]

PROVEN = "3.0.12"
"""The version of kafka-python whose inner workings this was written and tried against."""

SETTLING_SECONDS = 10.0
SETTLING_HEARTBEAT = 0.1  # seconds between two of them until then


class _EagerHeartbeat(Heartbeat):  # type: ignore[misc]
    """Heartbeats that are quicker after a join."""

    def time_to_next_heartbeat(self) -> float:
        """See the parent."""
        now, left = time.monotonic(), float(super().time_to_next_heartbeat())
        if self.heartbeat_failed or now - self.last_reset > SETTLING_SECONDS:
            return left
        return min(left, max(0.0, float(max(self.last_send, self.last_reset)) + SETTLING_HEARTBEAT - now))


class _HandOver(Exception):
    """Partitions are lost; the caller of ``poll`` has to give them up before anything else."""


class _SteadyCoordinator(ConsumerCoordinator):  # type: ignore[misc]
    """A coordinator that forgets no join that came through, hands over before it joins again, and claims what it holds."""

    _join_task: Any

    def poll(self, timeout_ms: float | None = None) -> bool:
        """See the parent. Raises _HandOver."""
        ready = bool(super().poll(timeout_ms))
        if self._is_losing():
            raise _HandOver
        return ready

    def need_rejoin(self) -> bool:
        """See the parent."""
        return not self._is_losing() and bool(super().need_rejoin())

    def group_protocols(self) -> Any:
        """See the parent."""
        held = set() if self._generation.is_lost() else self._subscription.assigned_partitions()
        for assignor in self._assignors.values():
            assignor.member_assignment = held
        return super().group_protocols()

    def _is_losing(self) -> bool:
        return bool(getattr(self._subscription.rebalance_listener, "is_losing", False))

    async def _do_join_and_sync_async(self) -> Any:
        assignment = await super()._do_join_and_sync_async()
        with self._lock:
            self._settle()
        return assignment

    async def join_group_async(self, timeout_ms: float | None = None) -> Any:
        """See the parent; a join that came through since the last call is taken up first."""
        joined, current = self._join_task, self._generation
        if joined is not None and joined.succeeded() and not current.is_lost():
            self._join_task = None
            with self._lock:
                self.rejoining = self.rejoin_needed = False
                self._settle()
            await self._on_join_complete_async(
                current.generation_id, current.member_id, current.protocol, joined.value
            )
        return await super().join_group_async(timeout_ms)

    def _settle(self) -> None:
        self.state = MemberState.STABLE
        self._enable_heartbeat()


class SteadyConsumer(KafkaConsumer):  # type: ignore[misc]
    """A KafkaConsumer whose group settles soon, however seldom its members poll."""

    _coordinator: Any

    def __init__(self, *topics: str, **configs: Any):
        super().__init__(*topics, **configs)
        # A second one would leave the first among the listeners of the cluster's metadata.
        self._coordinator.__class__ = _SteadyCoordinator
        self._coordinator.heartbeat.__class__ = _EagerHeartbeat

    def poll(self, timeout_ms: float = 0, max_records: int | None = None, update_offsets: bool = True) -> Any:
        """See the parent; returns at once, empty, when partitions were lost."""
        try:
            return super().poll(timeout_ms, max_records, update_offsets)
        except _HandOver:
            return {}
