"""Whether the broker is still there, while nothing comes from it.

kafka-python connects again in silence for as long as it takes, so a poll of a broker that is down looks like a poll
of an idle topic. A member hears of its broker with every heartbeat, though; only who has not heard for a while asks.
"""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["ANSWER_MILLISECONDS", "Watch", "last_heartbeat"]

QUIET_SECONDS = 10.0  # as long as a session lasts; ten heartbeats are missing by then
ANSWER_MILLISECONDS = 5_000


class Watch:
    """Asks the broker when nothing was heard of it for QUIET_SECONDS, and never more often than that if it answers.

    ask: a question that raises when there is no answer. clock: seconds, as the times of heartbeats are.
    """

    def __init__(self, ask: Callable[[], object], clock: Callable[[], float] = time.monotonic):
        self._ask, self._clock = ask, clock
        self._heard = clock()

    def look(self, data: bool, heartbeat: float) -> None:
        """After a poll: did it bring data, and when was the last heartbeat answered? Raises what `ask` raises."""
        now = self._clock()
        self._heard = now if data else max(self._heard, heartbeat)
        if now - self._heard >= QUIET_SECONDS:
            self._ask()
            self._heard = self._clock()


def last_heartbeat(consumer: Any) -> float:
    """When (time.monotonic) the group's coordinator last answered a heartbeat; long ago if that is not known."""
    heartbeat = getattr(getattr(consumer, "_coordinator", None), "heartbeat", None)
    return float(getattr(heartbeat, "last_receive", float("-inf")))
