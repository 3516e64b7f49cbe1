"""tillroll asked about the past: all rows of a model as of a time, or the events behind one cell, from the log alone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.contenders import run
from bench.models import MODELS
from tillroll.contract.registry import load_contract
from tillroll.history.row import explained
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.log import kafka, postgres  # noqa: F401 - importing is not counted, for anybody
from tillroll.settings import open_log, open_store

LATE = datetime(
    2999, 1, 1, tzinfo=UTC
)  # everything has happened by then, and each event is asked whether it has


def past(job: dict[str, Any]) -> dict[str, Any]:
    """`key` given: explain the cell `column` of that row; else all rows. Says what came out."""
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    model = MODELS[job["model"]]
    history = History(log, load_contract(), None if log.settles_duplicates else store)
    if "key" in job:
        told = explained(history, model, model.tables[0], job["key"], job["column"], Slice())
        return {"events": job["events"], "more": {"value": told.value}}
    rows = history.past(model, Slice(as_of=LATE)).views[model.name]
    return {"events": job["events"], "more": {"rows": len(rows)}}


if __name__ == "__main__":
    run(past)
