"""`tillroll export`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tillroll.cli.moments import with_times
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, show
from tillroll.cli.query import answered, csv_lines, parse_conditions

if TYPE_CHECKING:
    import polars as pl

__all__ = ["export"]


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("conditions", nargs=-1, metavar="[COLUMN=VALUE]...")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@with_times
@with_options("log", "store", "projections")
def export(
    given: Given,
    name: str,
    file: Path,
    conditions: tuple[str, ...],
    force: bool,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """Write the rows of a read model to a file for other tools.

    The suffix of FILE says what: .parquet, .csv or .arrow. The file appears when it is complete. NAME, COLUMN=VALUE and
    the times are those of `tillroll query`.
    """
    from tillroll.history.export import check_target
    from tillroll.history.export import export as write
    from tillroll.store.reading import Question

    check_target(file, force)
    question = Question(name, parse_conditions(conditions))
    with answered(given, question, as_of, known_at) as answer:
        rows = write(answer, file, csv_lines, _lists(given, name))
    show(given, _Written(str(file), rows))


def _lists(given: Given, view: str) -> "dict[str, pl.DataType]":
    """The list columns of the view, as far as its projection is at hand."""
    from tillroll.history.export import lists_of
    from tillroll.projection.evaluate import read_views
    from tillroll.projection.registry import view_names

    for projection in given.read_model(view):
        if view in view_names(projection):
            return lists_of(read_views(projection, {})[view].schema)
    return {}


@dataclass(frozen=True)
class _Written:
    """What was written."""

    file: str
    rows: int

    def text(self) -> Iterator[str]:
        """See Result."""
        yield f"{count(self.rows, 'row')} written to {self.file}"
