"""Measure tillroll beside the loop that people write: ``make bench``, or ``make bench ARGS="--events 10000000"``.

One history, contenders one after the other, each in a process of its own and on a fresh database, every
result checked against rows computed by other means. Ratios first: absolute figures depend on the machine.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bench import history
from tillroll.contract.registry import load_contract
from tillroll.log.port import EventLog
from tillroll.publisher import Publisher
from tillroll.settings import open_log
from tillroll.store.embedded import embedded_postgres
from tillroll.testing.broker import JavaBroker, free_port

LOOP_EVENTS = 20_000  # the loop would take minutes for all of them; its rate does not change with the number
RESULTS = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Contender:
    """Who folds what, from which log."""

    name: str
    module: str
    job: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events per second, the median of the runs."""
        return float(statistics.median(run["events"] / run["seconds"] for run in self.runs))


class Bench:
    """One run of everything."""

    def __init__(self, directory: Path, kafka: str, events: int):
        self.events, self.kafka = events, f"kafka://{kafka}"
        self.postgres = embedded_postgres(directory)
        self._databases = 0
        self.log = self.database()
        self.admitted = self.database()
        self.located: pl.DataFrame

    def database(self, template: str | None = None) -> str:
        """The URL of a fresh database, a copy of `template` if given."""
        self._databases += 1
        name = f"bench_{self._databases}"
        source = f" template {_name(template)}" if template else ""
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"create database {name}{source}".encode())
        return self.postgres.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Make room."""
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"drop database {_name(url)} with (force)".encode())

    def load(self) -> None:
        """The same history into both logs; where each event stands is worked out beside it."""
        logs: list[EventLog] = [open_log(self.kafka, Path()), open_log(self.log, Path())]
        publishers = [Publisher(log, load_contract()) for log in logs]
        parts = []
        for record, frame in history.chunks(self.events, counts=True):
            for publisher in publishers:
                publisher.publish_frame(record, frame)
            parts.append(history.slim(record, frame))
        self.located = history.located(pl.concat(parts), logs[0].partitions("stock"))
        for log in logs:
            log.close()

    def run(self, contender: Contender) -> None:
        """One measured run on a fresh store, its rows checked."""
        store = self.database(self.admitted if contender.job.get("log") == self.kafka else None)
        run = _measured(contender.module, contender.job | {"store": store})
        run["right"] = self.is_right(contender, store, run)
        contender.runs.append(run)
        self.drop(store)
        print(
            f"  {contender.name}: {run['events'] / run['seconds']:,.0f} events/s, rows right: {run['right']}",
            flush=True,
        )

    def is_right(self, contender: Contender, store: str, run: dict[str, Any]) -> bool:
        """Whether the rows are those of the events that were folded, computed in one go."""
        model = contender.job.get("model", "loop_levels")
        events = self.located
        if "positions" in run:
            ends = {int(partition): end for partition, end in run["positions"].items()}
            events = events.filter(pl.col("offset") < pl.col("partition").replace_strict(ends))
        wanted = history.levels(events) if model == "store_availability" else history.sums(events)
        columns = ", ".join(wanted.columns)
        with psycopg.connect(store) as connection:
            rows = connection.execute(f"select {columns} from {model}".encode()).fetchall()
        return (
            pl.DataFrame(rows, schema=wanted.schema, orient="row").sort("sku", "location_id").equals(wanted)
        )


def _measured(module: str, job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(job)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _name(url: str | None) -> str:
    return (url or "").partition("?")[0].rpartition("/")[2]


def contenders(bench: Bench) -> list[Contender]:
    """Everybody, the loop first."""
    projector = "bench.contenders.projector"
    out = [Contender("loop: kafka-python, fastavro, commit per event", "bench.contenders.loop",
                     {"log": bench.kafka, "kafka": bench.kafka.removeprefix("kafka://"), "events": LOOP_EVENTS})]  # fmt: skip
    for model in ("stock_levels", "store_availability"):
        for label, log in (("Kafka", bench.kafka), ("PostgresLog", bench.log)):
            out.append(Contender(f"tillroll {model}, {label}", projector, {"log": log, "model": model}))
    return out


def table(found: list[Contender], admission: dict[str, Any]) -> str:
    """The result, as Markdown."""
    lines = [
        "| contender | events/s | × the loop | CPU s / 1M | peak MiB | rows right |",
        "|---|--:|--:|--:|--:|---|",
    ]
    base = found[0].rate
    for one in found:
        cpu = statistics.median(run["cpu"] / run["events"] for run in one.runs) * 1e6
        peak = max(run["peak"] for run in one.runs) / 2**20
        right = "yes" if all(run["right"] for run in one.runs) else "NO"
        lines.append(
            f"| {one.name} | {one.rate:,.0f} | {one.rate / base:,.0f} | {cpu:,.1f} | {peak:,.0f} | {right} |"
        )
    rate = admission["events"] / admission["seconds"]
    lines.append(
        f"| tillroll admission, Kafka | {rate:,.0f} | {rate / base:,.0f} | | {admission['peak'] / 2**20:,.0f} | - |"
    )
    return "\n".join(lines)


@contextmanager
def parts() -> Iterator[tuple[Path, str]]:
    """A directory for PostgreSQL and a Kafka address: TILLROLL_TEST_KAFKA's, else a broker of our own."""
    with tempfile.TemporaryDirectory(prefix="tillroll-bench-", ignore_cleanup_errors=True) as folder:
        if given := os.environ.get("TILLROLL_TEST_KAFKA"):
            yield Path(folder), given
            return
        broker = JavaBroker(Path(folder) / "kafka", free_port())
        broker.start()
        try:
            yield Path(folder), broker.address
        finally:
            broker.discard()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with parts() as (directory, kafka):
        bench = Bench(directory, kafka, options.events)
        print(f"loading {options.events:,} stock events into Kafka and PostgresLog", flush=True)
        bench.load()
        total = len(bench.located)
        admission = _measured(
            "bench.contenders.admission", {"log": bench.kafka, "store": bench.admitted, "events": total}
        )
        found = contenders(bench)
        for _ in range(options.runs):
            for contender in found:
                bench.run(contender)
    told = table(found, admission)
    print(
        f"\n{options.events:,} events, {options.runs} runs, medians; {os.cpu_count()} cores, {platform.machine()}\n\n{told}"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "events": options.events, "cores": os.cpu_count(),
        "python": platform.python_version(), "admission": admission,
        "contenders": [{"name": one.name, "rate": one.rate, "runs": one.runs} for one in found]}, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
