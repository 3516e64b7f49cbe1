"""`tillroll new`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import show

__all__ = ["new"]


@click.group()
def new() -> None:
    """Start something of your own."""


@new.command()
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Put both files there; unless given, where a checkout has its projections, else into the current folder.",
)
@with_options("projections")
def projection(given: Given, name: str, into: Path | None) -> None:
    """A read model of your own, small but working, and its test.

    NAME is in snake case, such as returns_by_reason. Nothing is overwritten.
    """
    from tillroll.cli.scaffold import new_projection
    from tillroll.projection.registry import view_names

    taken = {taken for found in given.projections() for taken in (found.name, *view_names(found))}
    files, steps = new_projection(name, taken, into)
    show(given, Written(files, steps))


@dataclass(frozen=True)
class Written:
    """New files, and the commands to go on with."""

    files: list[Path]
    steps: list[str]

    def data(self) -> Any:
        """What --json prints."""
        return {"written": self.files, "next": self.steps}

    def text(self) -> Iterator[str]:
        """See Result."""
        yield from (f"{file} written" for file in self.files)
        yield "\nnext:"
        yield from (f"  {step}" for step in self.steps)
