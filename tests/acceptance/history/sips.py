"""A log that hands out little at a time, so that projectors commit little at a time."""

from collections.abc import Sequence
from typing import Any

from tillroll.log.port import Batch, EventLog, OnAssigned, OnRevoked, Subscription

__all__ = ["Sips"]


class Sips:
    """The EventLog `log`, whose subscriptions poll about `max_bytes` at a time."""

    def __init__(self, log: EventLog, max_bytes: int):
        self._log, self._max_bytes = log, max_bytes

    def subscribe(
        self, topics: Sequence[str], group: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """See EventLog.subscribe."""
        made: Any = _Sip(self._log.subscribe(topics, group, on_assigned, on_revoked), self._max_bytes)
        subscription: Subscription = made
        return subscription

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class _Sip:
    def __init__(self, subscription: Subscription, max_bytes: int):
        self._subscription, self._max_bytes = subscription, max_bytes

    def poll(self, timeout: float, max_bytes: int = 0) -> Sequence[Batch]:
        return self._subscription.poll(timeout, self._max_bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscription, name)
