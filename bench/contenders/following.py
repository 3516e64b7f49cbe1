"""tillroll as it runs all day: projector, and admission where the log needs it, until stdin is closed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import run, when_told
from bench.models import MODELS
from tillroll.contract.registry import load_contract
from tillroll.log.port import EventLog
from tillroll.services.projector.runner import Run
from tillroll.settings import open_log, open_store
from tillroll.store.postgres import PostgresStore


def follow(job: dict[str, Any]) -> dict[str, Any]:
    """Project the model of the job."""

    @contextmanager
    def parts() -> Iterator[tuple[EventLog, PostgresStore]]:
        log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
        try:
            yield log, store
        finally:
            log.close()
            store.close()

    running = Run(parts, load_contract(), [MODELS[job["model"]]])
    when_told(running.stop)
    results = running.run()
    for done in results:
        if done.error is not None:
            raise done.error
    return {"events": results[0].events}


if __name__ == "__main__":
    run(follow)
