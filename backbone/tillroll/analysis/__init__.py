"""For analysts: a log as Polars frames, its events and what any read model said at any time.

    import tillroll.analysis

    with tillroll.analysis.open() as history:
        sales = history.read_model("channel_sales", as_of="2001-12-31")
        returns = history.events("ReturnReceived").filter(pl.col("channel") == "web").collect()

See docs/analysis.md.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from tillroll import settings
from tillroll.analysis.history import History
from tillroll.contract.registry import load_contract
from tillroll.errors import UsageError
from tillroll.log.port import EventLog
from tillroll.projection.registry import load_projections
from tillroll.store.postgres import PostgresStore

__all__ = ["History", "open"]


def open(  # noqa: A001 - as one opens a file
    log: str | EventLog | None = None,
    data: str | Path | None = None,
    store: str | PostgresStore | None = None,
    projections: Iterable[str | Path] = (),
) -> History:
    """The log at this address, as frames; nothing is written to it. Close it, or use it as a context.

    log, data, store, projections: as the options of the command line, and taken from the same variables where they
    are not given (docs/cli.md, Environment); projections: folders with further ones. A store is asked only for
    admission's verdicts on a log that holds duplicates. Logs and stores that are given open are left open.
    Raises UsageError on an address of no known kind, and where there is no data.
    """
    folder = Path(data or os.environ.get(settings.DATA) or ".tillroll")
    there = (folder / "postgres").is_dir()
    log = log or os.environ.get(settings.LOG)
    if log is None and not there:
        raise UsageError(
            f"there is no data in {folder}; `tillroll demo` makes some, or name another log or data"
        )
    folders = [Path(each) for each in projections] or _from_environment()
    known = load_projections(folders)
    opened = settings.open_log(log, folder) if isinstance(log, str | None) else log
    closes: list[EventLog | PostgresStore] = [] if opened is log else [opened]
    store = store or os.environ.get(settings.STORE)
    if not isinstance(store, PostgresStore) and not opened.settles_duplicates and (store or there):
        store = settings.open_store(store, folder)
        closes.append(store)
    judge = store if isinstance(store, PostgresStore) else None
    return History(opened, load_contract(), judge, known, closes)


def _from_environment() -> list[Path]:
    told = os.environ.get(settings.PROJECTIONS, "")
    return [Path(folder) for folder in told.split(os.pathsep) if folder]
