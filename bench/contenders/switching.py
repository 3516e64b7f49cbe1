"""Readers who read a view all the time while versions are switched beneath them."""

import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from bench.contenders import run
from tillroll.services.replay.promote import promote, rollback
from tillroll.settings import open_log, open_store

READERS = 4
PAUSE = 0.05  # seconds between two switches


def switch(job: dict[str, Any]) -> dict[str, Any]:
    """Promote and roll back `times`, each; the longest read while nothing is switched, and while it is."""
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    with Readers(job["store"], job["read"]) as readers:
        time.sleep(1.0)
        before = readers.longest()
        switches = list[float]()
        for _ in range(job["times"]):
            start = time.perf_counter()
            promote(log, store, job["model"], True, "measured")
            switches.append(time.perf_counter() - start)
            time.sleep(PAUSE)
            start = time.perf_counter()
            rollback(store, job["model"], "measured")
            switches.append(time.perf_counter() - start)
            time.sleep(PAUSE)
        during = readers.longest()
    told = {
        "before": before,
        "during": during,
        "switch": max(switches),
        "reads": readers.reads,
        "errors": readers.errors,
    }
    return {"events": readers.reads, "more": told}


class Readers:
    """Threads that ask the same question over and over. A context manager."""

    def __init__(self, store: str, question: str):
        self._store, self._question = store, question
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._longest, self.reads, self.errors = 0.0, 0, 0
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(READERS)]

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def longest(self) -> float:
        """Seconds of the longest read since this was asked last."""
        with self._lock:
            longest, self._longest = self._longest, 0.0
        return longest

    def _read(self) -> None:
        with psycopg.connect(self._store, autocommit=True) as connection:
            while not self._stop.is_set():
                start = time.perf_counter()
                try:
                    found = connection.execute(self._question.encode()).fetchone()
                except psycopg.Error:
                    found = None
                seconds = time.perf_counter() - start
                with self._lock:
                    self._longest = max(self._longest, seconds)
                    self.reads, self.errors = self.reads + 1, self.errors + (found is None)


if __name__ == "__main__":
    run(switch)
