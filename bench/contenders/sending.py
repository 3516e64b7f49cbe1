"""Load that does not wait: events are due by the clock, and an event that goes out late is late."""

import time
from pathlib import Path
from typing import Any

import polars as pl

from bench.contenders import run
from bench.histories.flat import FEW
from tillroll.contract.registry import load_contract
from tillroll.events import StockReceived
from tillroll.publisher import Publisher
from tillroll.settings import open_log

MOST = 1_000  # events a call


def send(job: dict[str, Any]) -> dict[str, Any]:
    """`rate` events a second for `seconds`, one call for all that are due; when each was due, durable, and where.

    Times are seconds of the monotonic clock, which the processes of a machine share. Goes to the Parquet file `file`.
    """
    total, rate = int(job["rate"] * job["seconds"]), job["rate"]
    frame = FEW.chunk(0, total)["StockReceived"].drop("n")
    log = open_log(job["log"], Path())
    publisher = Publisher(log, load_contract())
    places: list[tuple[int, int, float]] = []
    start = time.monotonic() + 0.1
    while (sent := len(places)) < total:
        due = min(total, sent + MOST, int((time.monotonic() - start) * rate) + 1)
        if due <= sent:
            time.sleep(max(0.0, start + sent / rate - time.monotonic()))
            continue
        events = [StockReceived(**row) for row in frame[sent:due].iter_rows(named=True)]
        answers = publisher.publish(events)
        now = time.monotonic()
        places += [(answer.position.partition, answer.position.offset, now) for answer in answers]
    seconds = time.monotonic() - start
    log.close()
    columns = {"partition": pl.Int64(), "offset": pl.Int64(), "durable": pl.Float64()}
    found = pl.DataFrame(places, schema=columns, orient="row")
    found.with_columns(due=start + pl.int_range(total) / rate).write_parquet(job["file"])
    return {"events": total, "seconds": seconds}


if __name__ == "__main__":
    run(send)
