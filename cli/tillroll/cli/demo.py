"""`tillroll demo`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import as_json, table
from tillroll.cli.streams import results

if TYPE_CHECKING:
    from tillroll.services.demo import Said, Shown

__all__ = ["demo"]


@click.command()
@with_options("log", "store", "projections")
def demo(given: Given) -> None:
    """A retail history through the log into read models, and the story of a shoe.

    The data stays, to explore. Run again, it adds nothing.
    """
    from tillroll.services.demo import demo as tell

    story = tell(given.log, given.store, given.contract, given.projections())
    if given.json:
        click.echo(as_json([_data(part) for part in story]), results())
        return
    for line in _lines(story):
        click.echo(line, results())


def _lines(story: "Iterable[Said | Shown]") -> Iterator[str]:
    """An empty line before each table and heading, and after a table."""
    from tillroll.services.demo import Said

    after_table = False
    for part in story:
        if not isinstance(part, Said):
            yield f"\n{part.title}"
            yield from table(part.columns, part.rows)
        else:
            text = click.style(part.text, bold=True) if part.heading else part.text
            yield f"\n{text}" if part.heading or after_table else text
        after_table = not isinstance(part, Said)


def _data(part: "Said | Shown") -> dict[str, Any]:
    from tillroll.services.demo import Said

    if isinstance(part, Said):
        return {"chapter" if part.heading else "text": part.text}
    rows = [dict(zip(part.columns, row, strict=True)) for row in part.rows]
    return {"title": part.title, "rows": rows}
