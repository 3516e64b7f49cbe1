"""A reader who looks at the store all the time: when was which position there? Rows come in the same commit."""

import threading
import time
from pathlib import Path
from typing import Any

import polars as pl

from bench.contenders import run, when_told
from bench.models import MODELS
from tillroll.settings import open_store

PAUSE = 0.0005  # seconds between two looks; with the look itself, what latency is rounded up by


def watch(job: dict[str, Any]) -> dict[str, Any]:
    """Look until stdin is closed; each new position with the time of the look goes to the Parquet file `file`."""
    store, model = open_store(job["store"], Path()), MODELS[job["model"]]
    closed = threading.Event()
    when_told(closed.set)
    seen: list[tuple[int, int, float]] = []
    known: dict[int, int] = {}
    looks = 0
    while not closed.is_set():
        now = {origin.partition: at for origin, at in store.positions(model).items()}
        looked = time.monotonic()
        seen += [(partition, at, looked) for partition, at in now.items() if known.get(partition) != at]
        known, looks = now, looks + 1
        time.sleep(PAUSE)
    store.close()
    columns = {"partition": pl.Int64, "next_offset": pl.Int64, "seen": pl.Float64}
    pl.DataFrame(seen, schema=columns, orient="row").write_parquet(job["file"])
    return {"events": looks}


if __name__ == "__main__":
    run(watch)
