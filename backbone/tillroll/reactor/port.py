"""What a reactor is, and what it is handed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tillroll.events import Event
from tillroll.log.port import Position

__all__ = ["Reaction", "Reactor"]


@dataclass(frozen=True, slots=True)
class Reaction:
    """An event to react to.

    live: it was recorded after the reactor was first started, and is read for the first time; False = replayed.
    again: an act on it was begun before, and nobody knows whether it took place.
    """

    event: Event
    position: Position
    recorded_at: datetime
    live: bool
    again: bool = False


class Reactor(Protocol):
    """Acts on live events. `name` tells its ledger from others', for good."""

    name: str

    def records(self) -> Collection[str]:
        """Names of the event types it reacts to."""
        ...

    def act(self, reactions: Sequence[Reaction]) -> None:
        """Act on live events, in the order of their partition; durable when this returns.

        Raises Unavailable where waiting helps: the same reactions come again, marked `again`. Anything else it
        raises ends the reactor; they come again when it is started again.
        """
        ...

    def pass_over(self, reactions: Sequence[Reaction]) -> None:
        """Hear of replayed events, on which nothing is to be done."""
        ...
