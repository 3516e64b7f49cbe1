"""tillroll with many projections in one process, up to the end of the log."""

from pathlib import Path
from typing import Any

from bench.contenders import run
from bench.models import copies
from tillroll.contract.registry import load_contract
from tillroll.services.projector.runner import project_once
from tillroll.settings import open_log, open_store


def project(job: dict[str, Any]) -> dict[str, Any]:
    """`count` projections that do the same, each with rows of its own; every event counts once for each of them."""
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    done = project_once(log, store, load_contract(), copies(job["count"]))
    log.close()
    store.close()
    return {"events": done.events}


if __name__ == "__main__":
    run(project)
