"""Every error tillroll raises on purpose; each message says what, where and what to do.

TillrollError                  the root: the command line prints it as one line and exits with 1
├── UsageError                 a request that cannot be meant: unknown name, contradictory options (exit 2)
├── ConfigurationError         settings that cannot work: bad address, wrong version, missing extra
├── Unavailable                a part that is down or out of reach; waiting and retrying is right
│   ├── LogUnavailable
│   └── StoreUnavailable
├── AccessRefused              wrong password, missing right; retrying is not right
├── DiskFull                   the log or the store cannot write
├── ContractError              schemas that break the rules of the contract
├── MalformedEvent             bytes or fields that are no event of the contract
├── TopicMissing               a topic that the log does not have
├── PositionOutOfRange         an offset that the log no longer (or does not yet) hold
├── Replaced                   another process owns the partition now; commit nothing, take a new assignment
├── HandlerFailed              one event that a projection's handler cannot take (a dead letter)
│   └── EventUnfit             ... because it quotes what is no event, whatever the handler
├── TooManyFailures            so many failures that the handler is wrong, not the events
└── DeclarationError           a projection that contradicts itself, or its stored version
"""

__all__ = [
    "AccessRefused",
    "ConfigurationError",
    "ContractError",
    "DeclarationError",
    "DiskFull",
    "EventUnfit",
    "HandlerFailed",
    "LogUnavailable",
    "MalformedEvent",
    "PositionOutOfRange",
    "Replaced",
    "StoreUnavailable",
    "TillrollError",
    "TooManyFailures",
    "TopicMissing",
    "Unavailable",
    "UsageError",
]


class TillrollError(Exception):
    """Root of the tree."""


class UsageError(TillrollError):
    """A request that cannot be meant."""


class ConfigurationError(TillrollError):
    """Settings that cannot work."""


class Unavailable(TillrollError):
    """A part that is down or out of reach for now."""


class LogUnavailable(Unavailable):
    """The log does not answer."""


class StoreUnavailable(Unavailable):
    """The store does not answer."""


class AccessRefused(TillrollError):
    """The log or the store refuses these credentials or this operation."""


class DiskFull(TillrollError):
    """The log or the store has no room to write."""


class ContractError(TillrollError):
    """Schemas that break the contract's rules."""


class MalformedEvent(TillrollError):
    """Bytes or fields that are no event of the contract.

    field: the path of the field that is to blame (``lines[0].quantity``), "" where none is; reason: what is wrong with it.
    """

    def __init__(self, message: str, *, field: str = "", reason: str = ""):
        super().__init__(message)
        self.field, self.reason = field, reason or message


class TopicMissing(TillrollError):
    """A topic that the log does not have."""


class PositionOutOfRange(TillrollError):
    """An offset that the log does not hold."""


class Replaced(TillrollError):
    """Another process owns this partition by now."""


class HandlerFailed(TillrollError):
    """A handler cannot take this event."""


class EventUnfit(HandlerFailed):
    """An event that quotes what is none: it says nothing about the handler."""


class TooManyFailures(TillrollError):
    """The handler is wrong, not the events."""


class DeclarationError(TillrollError):
    """A projection that contradicts itself."""
