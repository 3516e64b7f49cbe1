"""`tillroll publish`."""

from pathlib import Path

import click

from tillroll.cli.files import rejects_file, require_files
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import show
from tillroll.cli.progress import meter

__all__ = ["publish"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep rejected lines in this file, each below a comment that says why; mend them and publish the file.",
)
@with_options("log")
def publish(given: Given, files: tuple[str, ...], rejects: Path | None) -> None:
    """Publish events from NDJSON files, plain or gzipped, or from stdin (-).

    One event a line: {"type": "StockReceived", "event_id": ..., ...}; `tillroll schema list` names the types.
    A line that is no event is rejected with its number, field and reason, the others are published. The same
    file again adds nothing: known event ids are duplicates. Empty lines and lines that begin with # are passed over.
    """
    from tillroll.cli.publishing import publish_files

    require_files(files)
    with rejects_file(rejects, files) as stream, meter() as display:
        result = publish_files(given.log, given.contract, files, stream, display)
    show(given, result)
