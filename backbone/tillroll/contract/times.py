"""Times as text: ISO 8601, as programs and people write them."""

from datetime import datetime

__all__ = ["time_of"]


def time_of(text: str) -> datetime:
    """The time that `text` says, with or without a zone.

    Raises ValueError on what is no time, and on an offset with seconds such as ``+00:00:30``: Python reads it, but an
    offset is hours and minutes (RFC 3339, section 5.6), so nobody can say what was meant.
    """
    found = datetime.fromisoformat(text)
    offset = found.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        raise ValueError(f"an offset from UTC is hours and minutes, found {text!r}")
    return found
