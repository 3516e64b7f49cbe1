"""Writing with tillroll: events one by one or some at a time, and frames of them, each durable on return."""

import time
from pathlib import Path
from typing import Any

from bench.contenders import cpu, run
from bench.histories.flat import FEW
from tillroll.contract.registry import load_contract
from tillroll.events import StockReceived
from tillroll.publisher import Publisher
from tillroll.settings import open_log


def publish(job: dict[str, Any]) -> dict[str, Any]:
    """Publish `events` receipts, `at_once` in a call, 0: as a frame; after one that lets it connect.

    The events are there before the clock starts.
    """
    every = FEW.chunk(0, job["events"] + 1)["StockReceived"].drop("n")
    frame, at_once = every[:-1], job["at_once"]
    events = [StockReceived(**row) for row in frame.iter_rows(named=True)] if at_once else []
    log = open_log(job["log"] or job["store"], Path())
    publisher = Publisher(log, load_contract())
    publisher.publish([StockReceived(**every[-1].row(0, named=True))])
    before, start = cpu(), time.perf_counter()
    if at_once:
        for at in range(0, len(events), at_once):
            publisher.publish(events[at : at + at_once])
    else:
        publisher.publish_frame("StockReceived", frame)
    answer = {"events": len(frame), "extra": 1, "seconds": time.perf_counter() - start, "cpu": cpu() - before}
    log.close()
    return answer


if __name__ == "__main__":
    run(publish)
