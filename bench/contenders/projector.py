"""tillroll's projector on any log: one process, or several that share the partitions as members of one group."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.contenders import cpu, peak, run
from bench.models import MODELS, SHIPPED
from tillroll.contract.registry import load_contract
from tillroll.log import extent, kafka, postgres  # noqa: F401 - importing is not counted, for anybody
from tillroll.services.projector.projector import Projector
from tillroll.services.projector.workers import BRIEF_SECONDS
from tillroll.settings import open_log, open_store


def project(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the whole log with the model of the job, until nothing is left, as `tillroll project --once` does."""
    model = (MODELS | SHIPPED)[job["model"]]
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    projector = Projector(model, log, store, load_contract())
    ends = extent.ends(log, model.topics())
    events = 0
    while projector.lag(ends):
        events += projector.step(BRIEF_SECONDS).events
    events += projector.flush().events
    projector.close()
    return {"events": events}


def in_processes(job: dict[str, Any]) -> dict[str, Any]:
    """The same by several processes, which are up before the clock starts, as a single one is."""
    context = multiprocessing.get_context("spawn")  # fork after Polars can hang
    pipes = [context.Pipe() for _ in range(job["processes"])]
    members = [context.Process(target=_member, args=(job, theirs)) for _, theirs in pipes]
    for member, (_, theirs) in zip(members, pipes, strict=True):
        member.start()
        theirs.close()  # so that a member's end ends our waiting for it
    for ours, _ in pipes:
        ours.recv()
    start = time.perf_counter()
    for ours, _ in pipes:
        ours.send("go")
    answers = [ours.recv() for ours, _ in pipes]
    seconds = time.perf_counter() - start
    for member in members:
        member.join()
    total = {name: sum(answer[name] for answer in answers) for name in ("events", "cpu", "peak")}
    return total | {"seconds": seconds, "more": {"shares": [answer["events"] for answer in answers]}}


def _member(job: dict[str, Any], pipe: Connection) -> None:
    load_contract()
    pipe.send("ready")
    pipe.recv()
    before = cpu()
    answer = project(job)
    pipe.send(answer | {"cpu": cpu() - before, "peak": peak()})


if __name__ == "__main__":
    run(lambda job: in_processes(job) if job.get("processes", 1) > 1 else project(job))
