"""Times on the command line: --as-of and --known-at."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tillroll.cli.output import count, say
from tillroll.history.moments import moment

if TYPE_CHECKING:
    from tillroll.history.scan import Slice
    from tillroll.projection.fold import Failure

__all__ = ["Moment", "say_failures", "slice_of", "with_times"]

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[datetime]):
    """A time as ISO 8601: one without a zone is in UTC, a bare date is the end of that day in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """A time in UTC."""
        try:
            return moment(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-11-23, or 2026-11-23T09:30Z", param, ctx)


def with_times(function: F) -> F:
    """Give a command --as-of and --known-at."""
    known = click.option(
        "--known-at",
        type=Moment(),
        metavar="TIME",
        help="Only what had been recorded by then; a bare date means the end of that day in UTC.",
    )
    happened = click.option(
        "--as-of",
        type=Moment(),
        metavar="TIME",
        help="Only what had happened by then, as events say; a bare date means the end of that day in UTC.",
    )
    return happened(known(function))


def slice_of(as_of: datetime | None, known_at: datetime | None) -> "Slice":
    """The slice of history that is meant."""
    from tillroll.history.scan import Slice

    return Slice(as_of, known_at)


def say_failures(failures: "Sequence[Failure]") -> None:
    """What could not be applied, on stderr, in one line."""
    if failures:
        first = failures[0]
        where = f"{first.position.topic}/{first.position.partition} offset {first.position.offset}"
        say(
            f"{count(len(failures), 'event')} could not be applied, the first at {where}: "
            f"{first.error}: {first.message}"
        )
