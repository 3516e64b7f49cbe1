"""Times on the command line: --as-of and --known-at, --from and --to."""

from collections.abc import Callable, Sequence
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tillroll.cli.output import count, say
from tillroll.history.moments import moment

if TYPE_CHECKING:
    from tillroll.history.scan import Slice
    from tillroll.projection.failures import Failure

__all__ = ["Moment", "say_failures", "slice_of", "with_times", "with_window"]

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[datetime]):
    """A time as ISO 8601: one without a zone is in UTC, a bare date is the end of that day in UTC, or `of_a_date` on it."""

    name = "time"

    def __init__(self, of_a_date: time = time.max):
        self._of_a_date = of_a_date

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """A time in UTC."""
        try:
            return moment(str(value), self._of_a_date)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-11-23, or 2026-11-23T09:30Z", param, ctx)


def with_times(function: F) -> F:
    """Give a command --as-of and --known-at."""
    return _with_times(function, "--as-of")


def with_window(function: F) -> F:
    """Give a command --from and --to, which is another name for --as-of, and --known-at."""
    since = click.option(
        "--from",
        "since",
        type=Moment(time.min),
        metavar="TIME",
        help="Only what happened from then on, as events say; a bare date means the beginning of that day in UTC.",
    )
    return since(_with_times(function, "--to", "--as-of", "as_of"))


def _with_times(function: F, *names: str) -> F:
    known = click.option(
        "--known-at",
        type=Moment(),
        metavar="TIME",
        help="Only what had been recorded by then; a bare date means the end of that day in UTC.",
    )
    happened = click.option(
        *names,
        type=Moment(),
        metavar="TIME",
        help="Only what had happened by then, as events say; a bare date means the end of that day in UTC.",
    )
    return happened(known(function))


def slice_of(as_of: datetime | None, known_at: datetime | None, since: datetime | None = None) -> "Slice":
    """The slice of history that is meant."""
    from tillroll.history.scan import Slice

    if since is not None and as_of is not None and since > as_of:
        raise click.UsageError(f"--from {since.isoformat()} lies behind --to {as_of.isoformat()}")
    return Slice(as_of, known_at, since=since)


def say_failures(failures: "Sequence[Failure]") -> None:
    """What could not be applied, on stderr, in one line."""
    if failures:
        first = failures[0]
        where = f"{first.position.topic}/{first.position.partition} offset {first.position.offset}"
        say(
            f"{count(len(failures), 'event')} could not be applied, the first at {where}: "
            f"{first.error}: {first.message}"
        )
