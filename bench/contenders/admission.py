"""tillroll's admission of a Kafka log, one process."""

from pathlib import Path
from typing import Any

from bench.contenders import run
from tillroll.contract.registry import load_contract
from tillroll.services.admission.admitter import Admitter
from tillroll.settings import open_log, open_store


def admit(job: dict[str, Any]) -> dict[str, Any]:
    """Admit `events` records, for a store that knows whose verdicts it has, as `tillroll project` does."""
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    store.bind(log.identity)
    admitter = Admitter(log, store, load_contract())
    events = 0
    while events < job["events"]:
        events += admitter.step(0.2) or 0
    admitter.close()
    return {"events": events}


if __name__ == "__main__":
    run(admit)
