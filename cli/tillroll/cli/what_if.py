"""`tillroll what-if`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.differing import difference_table, sample_tables, verdict
from tillroll.cli.moments import say_failures, slice_of, with_window
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, say, show

if TYPE_CHECKING:
    from tillroll.history.whatif import WhatIf

__all__ = ["what_if"]

SAMPLES = 5


@click.command("what-if")
@click.argument("name")
@click.option(
    "--with",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A Python file with the other rule: the projection of that name, or the only one in it.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=SAMPLES,
    show_default=True,
    help="Differing rows to show, per view.",
)
@with_window
@with_options("log", "store", "projections")
def what_if(
    given: Given,
    name: str,
    file: Path,
    sample: int,
    since: datetime | None,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """What the projection NAME would say under another rule: the same history, the rows that differ.

    Nothing is written, and no store is needed. Exit code 0 whether or not anything differs.
    """
    from tillroll.history.whatif import what_if as ask
    from tillroll.projection.registry import load_file

    projection = next((each for each in given.read_model(name) if each.name == name), None)
    if projection is None:
        (projection,) = given.projections([name])  # says which there are
    other = load_file(file, name)
    found = ask(given.history(), projection, other, slice_of(as_of, known_at, since), sample)
    show(given, _Shown(str(file), found))
    for whose, failures in zip((name, str(file)), found.failures, strict=True):
        if failures:
            say(f"under {whose}:")
            say_failures(failures)


@dataclass(frozen=True)
class _Shown:
    """A difference, for showing."""

    file: str
    found: "WhatIf"

    def data(self) -> dict[str, Any]:
        """What --json prints."""
        it = self.found
        failures = dict(zip(("live", "candidate"), map(len, it.failures), strict=True))
        return {
            "projection": it.projection,
            "with": self.file,
            "events": it.events,
            "same": it.same,
            "views": [asdict(view) for view in it.views],
            "samples": it.samples,
            "failures": failures,
        }

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.found
        yield f"{it.projection} as it is, and as {self.file} has it, over {count(it.events, 'event')}"
        yield ""
        yield from difference_table(it.views, "present", "other")
        yield from sample_tables(it.samples, "present", "other")
        yield ""
        yield verdict(all(view.same for view in it.views), all(view.same_columns for view in it.views))
