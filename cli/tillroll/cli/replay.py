"""`tillroll replay`: a new version beside the live one, the difference, the switch, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import as_json, cell, count, say, show, table
from tillroll.cli.query import parse_conditions

if TYPE_CHECKING:
    from tillroll.services.replay.compare import Compared, Comparison
    from tillroll.services.replay.promote import Entry, Switched
    from tillroll.services.replay.rebuild import Filled
    from tillroll.services.replay.status import VersionStanding
    from tillroll.store.comparing import Changed
    from tillroll.store.versions import Progress

__all__ = ["replay"]

SAMPLES = 5
PLAIN_SECONDS = 2.0

_NAME = click.argument("name")
_REASON = click.option("--reason", metavar="TEXT", help="Why; kept in the audit.")


@click.group()
def replay() -> None:
    """A projection rebuilt beside the live one, compared, switched to, and back."""


@replay.command()
@_NAME
@click.option(
    "--from",
    "start",
    multiple=True,
    metavar="WHERE",
    help="Begin at a time of recording, at 'earliest', or at TOPIC/PARTITION:OFFSET (repeatable); partial then.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of this key; repeatable; partial then.",
)
@click.option("--rate", type=click.FloatRange(min=1), metavar="N", help="Events a second at most.")
@click.option(
    "--processes", type=click.IntRange(min=1, max=64), default=1, show_default=True, help="How many fill."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what would be read, how long it takes and how much disk; change nothing.",
)
@with_options("log", "store", "projections")
def rebuild(
    given: Given,
    name: str,
    start: tuple[str, ...],
    keys: tuple[str, ...],
    rate: float | None,
    processes: int,
    dry_run: bool,
) -> None:
    """Fill the next version of NAME by the code at hand, beside the live one.

    Interrupt it, kill it, restart log or database: running it again goes on where it was. Then compare and promote.
    """
    from tillroll.services.replay.filling import Place
    from tillroll.services.replay.limits import limits_of
    from tillroll.services.replay.rebuild import Rebuild

    given.require_data(also_log=True)
    (projection,) = given.projections([name])
    limits = limits_of(given.log, projection, start, parse_conditions(keys))
    if dry_run:
        from tillroll.services.replay.estimate import estimate

        show(given, Estimated(estimate(given.log, given.store, projection, limits, rate)))
        return
    place = Place(given.log_address, given.store_address, given.data)
    given.close()
    show(given, Ended(Rebuild(place, projection, limits, processes, rate, _Telling(given.json)).run()))


@replay.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@with_options("log", "store")
def status(given: Given, names: tuple[str, ...]) -> None:
    """Every version: whether it is live, being filled, or kept for a rollback, and how far it is."""
    from tillroll.services.replay.status import standing

    given.require_data(also_log=True)
    show(given, Standing(standing(given.log, given.store, names)))


@replay.command()
@_NAME
@with_options("store")
def pause(given: Given, name: str) -> None:
    """Have the rebuild of NAME rest; `tillroll replay rebuild NAME` goes on with it."""
    from tillroll.services.replay.promote import pause as rest

    given.require_data()
    show(given, Done(name, rest(given.store, name), "paused"))


@replay.command()
@_NAME
@_REASON
@with_options("store")
def cancel(given: Given, name: str, reason: str | None) -> None:
    """Take away the version that a rebuild of NAME fills or filled, and everything it made."""
    from tillroll.services.replay.promote import cancel as take_away

    given.require_data()
    show(given, Done(name, take_away(given.store, name, reason), "cancelled"))


@replay.command()
@_NAME
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=SAMPLES,
    show_default=True,
    help="Differing rows to show, per table.",
)
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write all differing rows into this folder, a file per table.",
)
@with_options("log", "store")
def compare(given: Given, name: str, samples: int, parquet: Path | None) -> None:
    """What readers of NAME would see differently, row by row, at one and the same position.

    The live version is not stopped for it. Exit code 0 whether or not anything differs.
    """
    from tillroll.services.replay.compare import comparing

    given.require_data(also_log=True)
    with comparing(given.log, given.store, name) as compared:
        found = compared.found
        rows = {
            t.table: list(compared.rows(t.table, samples))
            for t in found.tables
            if t.comparable and not t.same
        }
        written = _write(compared, parquet) if parquet is not None else []
    show(given, Difference(found, rows, written))


def _write(compared: "Compared", folder: Path) -> list[Path]:
    """All differing rows, a file per table."""
    from tillroll.services.replay.differing import write_differing

    folder.mkdir(parents=True, exist_ok=True)
    names = [each.table for each in compared.found.tables if each.comparable and not each.same]
    return [write_differing(compared.rows(name), folder / f"{name}.parquet") for name in names]


@replay.command()
@_NAME
@click.option("--force", is_flag=True, help="Do it against the reasons given; the audit keeps them.")
@click.option("--retire", is_flag=True, help="Take the old version away at once; no rollback then.")
@_REASON
@with_options("log", "store")
def promote(given: Given, name: str, force: bool, retire: bool, reason: str | None) -> None:
    """Have readers of NAME see the candidate, in one transaction; the old version is kept for a rollback."""
    from tillroll.services.replay.promote import promote as switch

    given.require_data(also_log=True)
    show(given, Switch(switch(given.log, given.store, name, force, reason, retire)))


@replay.command()
@_NAME
@_REASON
@with_options("store")
def rollback(given: Given, name: str, reason: str | None) -> None:
    """Have readers of NAME see the version that was live before."""
    from tillroll.services.replay.promote import rollback as back

    given.require_data()
    show(given, Switch(back(given.store, name, reason)))


@replay.command()
@_NAME
@click.option("--version", "number", type=int, metavar="N", help="Which one, where several are kept.")
@_REASON
@with_options("store")
def retire(given: Given, name: str, number: int | None, reason: str | None) -> None:
    """Take away a version that was kept for a rollback."""
    from tillroll.services.replay.promote import retire as take_away

    given.require_data()
    show(given, Done(name, take_away(given.store, name, number, reason), "retired"))


@replay.command()
@click.argument("name", required=False)
@with_options("store")
def audit(given: Given, name: str | None) -> None:
    """Who promoted, rolled back, retired or cancelled what, when and why; newest first."""
    from tillroll.services.replay.promote import audit as entries

    given.require_data()
    show(given, Audit(entries(given.store, name)))


# --- results -------------------------------------------------------------------------------------------


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

    estimate: Any

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
        yield f"{how}: {'' if it.seconds is None else f'about {it.seconds:,.0f} s, '}{it.bytes / 2**20:,.1f} MiB of disk ({it.bytes_from})"


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
    written: Sequence[Path]

    def data(self) -> Any:
        """What --json prints."""
        return asdict(self.found) | {
            "same": self.found.same,
            "samples": self.samples,
            "written": self.written,
        }

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.found
        yield f"{it.projection}: candidate version {it.candidate} against live version {it.live}, at the same positions"
        yield ""
        yield from table(
            ("table", "live rows", "candidate rows", "added", "removed", "changed", "columns that differ"),
            [
                (t.table, t.live_rows, t.candidate_rows, t.added, t.removed, t.changed, _columns(t))
                for t in it.tables
            ],
        )
        for name, rows in self.samples.items():
            if rows:
                yield ""
                yield f"{name}:"
                yield from table(
                    ("key", "column", "live", "candidate"), [line for row in rows for line in _lines(row)]
                )
        for path in self.written:
            yield f"{path} written"
        yield ""
        yield "the rows are the same" if it.same else "readers would see these differences"


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


class _Telling:
    """Says how far a rebuild is: a line now and then on stderr, as JSON where that is wanted."""

    def __init__(self, json: bool):
        self._json, self._told = json, 0.0

    def __call__(self, progress: "Progress") -> None:
        import time

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


def _columns(told: Any) -> str:
    if not told.comparable:
        return "another key: rows cannot be matched" if told.added is None else ""
    return ", ".join(f"{name} {rows:,}" for name, rows in told.columns.items())


def _lines(row: "Changed") -> Iterator[tuple[str, str, str, str]]:
    """A line per column that differs; one line where a row is missing on one side."""
    key = " ".join(f"{name}={cell(value)}" for name, value in row.key.items())
    if row.live is None or row.candidate is None:
        yield key, "(row)", "" if row.live is None else "there", "" if row.candidate is None else "there"
        return
    for name in row.candidate:
        if name in row.live and row.live[name] != row.candidate[name]:
            yield key, name, cell(row.live[name]), cell(row.candidate[name])
