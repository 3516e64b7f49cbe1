"""`tillroll replay`: a new version beside the live one, the difference, the switch, and back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import show
from tillroll.cli.query import parse_conditions
from tillroll.cli.replayed import Audit, Difference, Done, Ended, Estimated, Standing, Switch, Telling
from tillroll.errors import UsageError

if TYPE_CHECKING:
    from tillroll.services.replay.compare import Compared

__all__ = ["replay"]

SAMPLES = 5
MOST_EXPLAINED = 100  # rows of a table: of each, every event is looked up by both rules

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
    show(given, Ended(Rebuild(place, projection, limits, processes, rate, Telling(given.json)).run()))


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
    "--events",
    is_flag=True,
    help=f"Name the events behind the rows shown, {MOST_EXPLAINED} of a table at most.",
)
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write all differing rows into this folder, a file per table.",
)
@with_options("log", "store")
def compare(given: Given, name: str, samples: int, events: bool, parquet: Path | None) -> None:
    """What readers of NAME would see differently, row by row, at one and the same position.

    The live version is not stopped for it. Exit code 0 whether or not anything differs. --events reads the log for
    what stands behind the rows shown: of each event, what it gave to the row by the live code and by the candidate's.
    """
    from tillroll.services.replay.compare import comparing

    if events and samples > MOST_EXPLAINED:
        raise UsageError(
            f"--events looks up what stands behind at most {MOST_EXPLAINED} rows of a table, not {samples:,}"
        )
    given.require_data(also_log=True)
    with comparing(given.log, given.store, name) as compared:
        found = compared.found
        rows = {
            t.table: list(compared.rows(t.table, samples))
            for t in found.tables
            if t.comparable and not t.same
        }
        written = _write(compared, parquet) if parquet is not None else []
    behind = compared.behind(given.history(), rows) if events else []
    show(given, Difference(found, rows, behind, written))


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
