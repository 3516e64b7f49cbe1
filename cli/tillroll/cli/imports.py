"""`tillroll import`: real histories become events."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from tillroll.cli.files import rejects_file
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, show, table
from tillroll.cli.progress import Meter, meter

if TYPE_CHECKING:
    from tillroll.publisher import Published, Publisher
    from tillroll.services.histories import History

__all__ = ["Imported", "import_"]

_REJECTS = click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write each row that is left out, and why, to this file as a line of JSON.",
)


@click.group("import")
def import_() -> None:
    """Turn real histories into events.

    Ids derive from natural keys: importing again adds nothing.
    """


@import_.command()
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=0.01,
    show_default=True,
    help="Size of the generated tables; 1 is about 1 GB.",
)
@_REJECTS
@with_options("log")
def tpcds(given: Given, scale: float, rejects: Path | None) -> None:
    """TPC-DS: a retailer's year in stores, catalogue and web, generated on this machine."""
    from tillroll.services.histories import Rejects
    from tillroll.services.histories.tpcds import history

    with _stream(rejects) as stream:
        result = _imported(given, history(scale, rejects=Rejects(stream)), "TPC-DS")
    show(given, result)


@import_.command("online-retail")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@_REJECTS
@with_options("log")
def online_retail(given: Given, paths: tuple[Path, ...], rejects: Path | None) -> None:
    """UCI Online Retail: a real web shop's invoices, as CSV files, plain or gzipped, or folders of them."""
    from tillroll.services.histories import Rejects
    from tillroll.services.histories.online_retail import history

    with _stream(rejects, *paths) as stream:
        result = _imported(given, history(paths, rejects=Rejects(stream)), "Online Retail")
    show(given, result)


@dataclass(frozen=True)
class Imported:
    """What an import did: events by type, rows left out by reason; new, known and refused ones in the log."""

    history: str
    events: Mapping[str, int]
    rejects: Mapping[str, int]
    published: int
    duplicates: int
    conflicts: int

    @property
    def exit_code(self) -> int:
        """1 when the log holds other events under some of the ids."""
        return int(self.conflicts > 0)

    def text(self) -> Iterator[str]:
        """See Result."""
        yield from table(("event type", "events"), self.events.items())
        if self.rejects:
            yield ""
            yield from table(("left out because", "rows"), self.rejects.items())
        yield ""
        yield f"{count(self.published, 'event')} published, {self.duplicates:,} were in the log before"
        if self.conflicts:
            yield (
                f"{count(self.conflicts, 'event')} refused: the log holds other content under the same id, "
                "as after an import of another scale or of changed files"
            )


def _imported(given: Given, opening: "AbstractContextManager[History]", name: str) -> Imported:
    from tillroll.publisher import Publisher

    publisher = Publisher(given.log, given.contract)
    with meter() as display:
        display.begin(f"preparing {name}", None, "rows")
        with opening as history:
            display.end(f"preparing {name}")
            display.begin(name, history.total, "rows")
            published = _published(publisher, history, display, name)
            summary = history.summary
        display.end(name)
    conflicts = len(published.conflicts)
    return Imported(
        summary.name, summary.events, summary.rejected, published.new, published.duplicates, conflicts
    )


def _published(publisher: "Publisher", history: "History", display: Meter, name: str) -> "Published":
    from tillroll.publisher import Published

    told, out = 0, Published()
    for record, frame in history.frames():
        out += publisher.publish_frame(record, frame)
        display.advance(name, history.done - told)
        told = history.done
    return out


@contextmanager
def _stream(path: Path | None, *inputs: Path) -> Iterator[TextIO | None]:
    with rejects_file(path, inputs) as stream:
        if stream is None:
            yield None
            return
        text = TextIOWrapper(stream, encoding="utf-8")
        try:
            yield text
        finally:
            text.flush()
            text.detach()
