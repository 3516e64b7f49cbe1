"""What `tillroll replay` shows: results for people and programs, and how far a rebuild is."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.differing import difference_table, event_tables, row_events, sample_tables, verdict
from tillroll.cli.output import as_json, count, say, table

if TYPE_CHECKING:
    from tillroll.services.replay.compare import Comparison, RowEvents
    from tillroll.services.replay.estimate import Estimate
    from tillroll.services.replay.promote import Entry, Switched
    from tillroll.services.replay.rebuild import Filled
    from tillroll.services.replay.status import VersionStanding
    from tillroll.store.comparing import Changed
    from tillroll.store.versions import Progress

__all__ = ["Audit", "Difference", "Done", "Ended", "Estimated", "Standing", "Switch", "Telling"]

PLAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Done:
    """A version that something was done to."""

    projection: str
    version: int
    done: str

    def text(self) -> Iterator[str]:
        """See Result."""
        yield f"version {self.version} of {self.projection} {self.done}"


@dataclass(frozen=True)
class Ended:
    """How a rebuild ended, for showing."""

    filled: "Filled"

    def data(self) -> Any:
        """What --json prints."""
        return asdict(self.filled) | {"state": self.filled.state or "cancelled"}

    @property
    def exit_code(self) -> int:
        """1 when it was paused or cancelled from elsewhere."""
        return int(self.filled.state != "candidate")

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.filled
        if it.state != "candidate":
            yield f"version {it.version} of {it.projection} was {it.state or 'cancelled'} from elsewhere"
            return
        rate = it.events / it.seconds if it.seconds else 0
        yield (
            f"version {it.version} of {it.projection} is filled: {count(it.events, 'event')} in {it.seconds:.1f} s, "
            f"{rate:,.0f}/s, {count(it.dead_letters, 'dead letter')}, {it.behind:,} behind the end"
        )
        yield f"go on with: tillroll replay compare {it.projection}; tillroll replay promote {it.projection}"


@dataclass(frozen=True)
class Estimated:
    """What a rebuild would be, for showing."""

    estimate: "Estimate"

    def data(self) -> Any:
        """What --json prints."""
        return self.estimate

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.estimate
        yield from table(("topic", "events"), [*it.events.items(), ("all", sum(it.events.values()))])
        yield ""
        how = (
            f"{it.rate:,.0f} events/s in a sample of {it.sampled:,}"
            if it.rate
            else "nothing to take a sample of"
        )
        size = "unknown size" if it.bytes is None else f"{it.bytes / 2**20:,.1f} MiB"
        yield f"{how}: {'' if it.seconds is None else f'about {it.seconds:,.0f} s, '}{size} of disk ({it.bytes_from})"


@dataclass(frozen=True)
class Standing:
    """Versions, for showing."""

    versions: "Sequence[VersionStanding]"

    def data(self) -> Any:
        """What --json prints."""
        return self.versions

    def text(self) -> Iterator[str]:
        """See Result."""
        rows = [
            (v.projection, v.version, v.state, v.behind, v.dead_letters, v.percent and f"{v.percent:.1f}%",
             v.rate and f"{v.rate:,.0f}/s", _left(v.seconds_left))
            for v in self.versions
        ]  # fmt: skip
        yield from table(
            ("projection", "version", "state", "behind", "dead letters", "filled", "rate", "left"), rows
        )


@dataclass(frozen=True)
class Difference:
    """A comparison with samples, for showing."""

    found: "Comparison"
    samples: "Mapping[str, Sequence[Changed]]"
    events: "Sequence[RowEvents]"
    written: Sequence[Path]

    def data(self) -> Any:
        """What --json prints."""
        return asdict(self.found) | {
            "same": self.found.same,
            "same_columns": self.found.same_columns,
            "samples": self.samples,
            "events": [row_events(row) for row in self.events],
            "written": self.written,
        }

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.found
        yield f"{it.projection}: candidate version {it.candidate} against live version {it.live}, at the same positions"
        yield ""
        yield from difference_table(it.tables, "live", "candidate")
        yield from sample_tables(self.samples, "live", "candidate")
        yield from event_tables(self.events, "live", "candidate")
        for path in self.written:
            yield f"{path} written"
        yield ""
        if it.begins and not it.same:
            yield f"the candidate begins at {it.begins}: what happened before may be all that differs"
        yield verdict(it.same, it.same_columns)


@dataclass(frozen=True)
class Switch:
    """A switch, for showing."""

    switched: "Switched"

    def data(self) -> Any:
        """What --json prints."""
        return self.switched

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.switched
        yield f"readers of {it.projection} see version {it.to_version} now"
        for reason in it.overridden:
            yield f"set aside: {reason}"
        if it.retired is not None:
            yield f"version {it.retired} is retired"
        elif it.back:
            yield f"version {it.from_version} is a candidate again: tillroll replay promote {it.projection}"
        else:
            yield f"version {it.from_version} is kept up: tillroll replay rollback {it.projection}"


@dataclass(frozen=True)
class Audit:
    """Entries of the audit, for showing."""

    entries: "Sequence[Entry]"

    def data(self) -> Any:
        """What --json prints."""
        return self.entries

    def text(self) -> Iterator[str]:
        """See Result."""
        if not self.entries:
            yield "nothing was changed yet"
            return
        rows = [
            (
                f"{e.at:%Y-%m-%d %H:%M:%S}",
                e.who,
                e.action,
                e.projection,
                e.from_version,
                e.to_version,
                e.reason,
            )
            for e in self.entries
        ]
        yield from table(("at", "who", "action", "projection", "from", "to", "reason"), rows)


class Telling:
    """Says how far a rebuild is: a line now and then on stderr, as JSON where that is wanted."""

    def __init__(self, json: bool):
        self._json, self._told = json, 0.0

    def __call__(self, progress: "Progress") -> None:
        if time.monotonic() - self._told < PLAIN_SECONDS and progress.events < progress.goal:
            return
        self._told = time.monotonic()
        left = progress.left
        if self._json:
            told = asdict(progress) | {"percent": round(progress.percent, 2), "seconds_left": left}
            click.echo(as_json(told, None), err=True)
            return
        rate = f", {progress.rate:,.0f}/s" if progress.rate else ""
        dead = f", {count(progress.dead_letters, 'dead letter')}" if progress.dead_letters else ""
        say(
            f"{progress.projection} version {progress.version}: {progress.events:,} of {progress.goal:,} events, "
            f"{progress.percent:.1f}%{rate}{f', {_left(left)} left' if left else ''}{dead}"
        )


def _left(left: tuple[float, float, float] | None) -> str | None:
    if left is None:
        return None
    mean, best, worst = left
    return f"{mean:,.0f} s ({best:,.0f} to {worst:,.0f})"
