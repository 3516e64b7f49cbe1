"""tillroll's projector, one process, on any log."""

from pathlib import Path
from typing import Any

from bench.contenders import run
from bench.models import MODELS
from tillroll.contract.registry import load_contract
from tillroll.log.port import TopicPartition
from tillroll.services.projector.projector import Projector
from tillroll.settings import open_log, open_store


def project(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the whole log with the model of the job, until nothing is left."""
    model = MODELS[job["model"]]
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    projector = Projector(model, log, store, load_contract())
    origins = [TopicPartition(topic, n) for topic in model.topics() for n in range(log.partitions(topic))]
    ends = {origin: log.end_offset(origin) for origin in origins}
    events = 0
    while projector.lag(ends):
        events += projector.step(0.2).events
    projector.close()
    return {"events": events}


if __name__ == "__main__":
    run(project)
