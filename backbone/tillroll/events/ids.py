"""Event ids: drawn once for what happens now, derived for what can be told again."""

import secrets
import time
from uuid import NAMESPACE_URL, UUID, uuid5

__all__ = ["EVENT_NAMESPACE", "SEPARATOR", "event_id_for", "new_event_id"]

EVENT_NAMESPACE = uuid5(NAMESPACE_URL, "tillroll:event")
SEPARATOR = "\x1f"
"""Unit separator: in no identifier that anybody types."""

ORDER_PLACED = "OrderPlaced"


def event_id_for(source: str, event_type: str, natural_key: str, ordinal: int = 0) -> str:
    """UUIDv5 over (source, event type, natural key, ordinal): the same event told twice has the same id.

    OrderPlaced's derives from its natural key alone, the order_id, so that an order that reaches the log by two
    sources is one. The ids of histories follow the same rule, a column at a time.
    """
    parts = (
        (event_type, natural_key)
        if event_type == ORDER_PLACED
        else (source, event_type, natural_key, str(ordinal))
    )
    return str(uuid5(EVENT_NAMESPACE, SEPARATOR.join(parts)))


def new_event_id() -> str:
    """UUIDv7: milliseconds since 1970, then the fraction of the millisecond, so that ids of one process rise with
    time, then chance (RFC 9562, 5.7 and 6.2 method 3). Draw it once and keep it over retries."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    number = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(UUID(int=number))
