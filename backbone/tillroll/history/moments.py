"""Times as people give them."""

from datetime import UTC, date, datetime, time

from tillroll.contract.times import time_of

__all__ = ["moment"]


def moment(given: str | date | datetime, of_a_date: time = time.max) -> datetime:
    """A time in UTC: one without a zone is in UTC, a bare date is the end of that day in UTC, or `of_a_date` on it.

    Raises ValueError or OverflowError on a text that is no time as ISO 8601.
    """
    if isinstance(given, datetime):
        return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    if isinstance(given, date):
        return datetime.combine(given, of_a_date, UTC)
    try:
        return moment(date.fromisoformat(given), of_a_date)
    except ValueError:
        return moment(time_of(given))
