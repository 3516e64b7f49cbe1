"""Reactors: what acts on the world (a message, a call, a line in a file) when something happens.

A projection can be folded again at any time; an act cannot be taken back. So a reactor is told of every event
whether it is live or replayed, acts on live ones alone, and keeps a ledger in the store of what it has acted on.

The promise is at least once: an event stands in the ledger as begun before the act and as done after it, and
one that was begun when the process died is handed over again, marked `again`. The event_id stays the same, so
it is the idempotency key for whatever the reactor calls; a reactor that can look up what it did
(`FileReactor`) makes it exactly once.
"""

from tillroll.reactor.file import FileReactor
from tillroll.reactor.port import Reaction, Reactor

__all__ = ["FileReactor", "Reaction", "Reactor"]
