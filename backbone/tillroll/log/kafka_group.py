"""Group membership as kafka-python has it, with one mend.

In kafka-python 3.0.12 a member joins in the background, but the outcome only counts if it arrives while ``poll``
waits for it: one that arrives in between is thrown away, the member joins again, and so the whole group does.
Members that spend most of their time outside of ``poll``, as everyone does who folds what was read, can go on like
that for ever. Here the outcome is kept, and the member's heartbeats go on, until the next ``poll`` takes it up.
"""

from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.base import MemberState
from kafka.coordinator.consumer import ConsumerCoordinator

__all__ = ["PROVEN", "SteadyConsumer"]

PROVEN = "3.0.12"
"""The version of kafka-python whose inner workings this was written and tried against."""


class _SteadyCoordinator(ConsumerCoordinator):  # type: ignore[misc]
    """A coordinator that forgets no join that came through."""

    _join_task: Any

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
    """A KafkaConsumer whose group settles however seldom its members poll."""

    _coordinator: Any

    def __init__(self, *topics: str, **configs: Any):
        super().__init__(*topics, **configs)
        # A second one would leave the first among the listeners of the cluster's metadata.
        self._coordinator.__class__ = _SteadyCoordinator
