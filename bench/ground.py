"""A history on its ground: loaded into both logs, with everybody who may fold it and the check of their rows."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bench.histories import History
from bench.loading import BATCH, Loaded, load, prepare, schemas
from bench.measuring import Contender, Failed, Scenario, measure, play
from bench.stage import Stage
from tillroll.settings import open_log

__all__ = ["ADMISSION", "Ground"]

ADMISSION = "tillroll admission, Kafka"

MODEL = {"stock": "stock_levels", "orders": "order_units", "mixed": "stock_movements"}
UNDURABLE = (
    "options=-csynchronous_commit%3Doff"  # for loading what is not measured: no flush to disk per commit
)


class Ground:
    """A history loaded into Kafka and PostgresLog, and the store that knows what admission says of it."""

    def __init__(self, stage: Stage, history: History, events: int, kafka: str):
        self.stage, self.history, self.kafka = stage, history, kafka
        self.log, self.admitted = stage.database(), stage.database()
        logs = [
            prepare(open_log(address, Path()), history.topic) for address in (f"kafka://{kafka}", self.log)
        ]
        self.loaded: Loaded = load(history, events, [(log, BATCH) for log in logs])
        for log in logs:
            log.close()
        self.model = MODEL[history.shape]

    def admit(self) -> Scenario:
        """Admission over the whole log, once: its own rate, and the store for all who read from Kafka."""
        job = {"log": f"kafka://{self.kafka}", "events": self.loaded.events}
        scenario = Scenario(Contender(ADMISSION, "admission", job, self.admitted))
        try:
            answer = measure(scenario.contender, self.admitted)
            scenario.runs.append(answer | {"units": answer["events"], "right": None})
        except Failed as error:
            scenario.problem = str(error)
        return scenario

    def peer(self, name: str, module: str, events: int, **job: Any) -> Scenario:
        """Somebody without tillroll who folds the first `events` events from Kafka."""
        known: dict[str, Any] = {
            "kafka": self.kafka,
            "topic": self.history.topic,
            "shape": self.history.shape,
        }
        known |= {"schemas": schemas(self.history), "events": min(events, self.loaded.events)}
        known |= {"total": self.loaded.events}
        environment = job.pop("environment", None)
        contender = Contender(name, module, known | job, environment=environment)
        return Scenario(contender, self.checked("peer_rows", self.model), self.units)

    def consume(self, name: str) -> Scenario:
        """Reading everything, without rows."""
        job = {"kafka": self.kafka, "topic": self.history.topic, "events": self.loaded.events}
        return Scenario(Contender(name, "consume", job, None))

    def eventsourced(self, name: str, events: int) -> Scenario:
        """The eventsourcing library on its own store, which gets the first `events` receipts beforehand."""
        job = {"events": len(self._receipts(events))}
        store = self.stage.database()
        scenario = Scenario(
            Contender(name, "eventsourced", job, store), self.checked("peer_rows", self.model)
        )
        try:
            filling = {"rows": str(self._receipts_file(events)), "at_once": 500}
            measure(Contender(name, "eventsourced", filling), store)
        except Failed as error:
            scenario.problem = str(error)
        return scenario

    def appended(self, name: str, model: str, events: int, at_once: int) -> Scenario:
        """tillroll's projector from a PostgresLog of its own that got the first `events` so many at a time."""
        address = self.stage.database()
        log = prepare(open_log(f"{address}&{UNDURABLE}", Path()), self.history.topic)
        loaded = load(self.history, events, [(log, at_once)])
        log.close()
        contender = Contender(name, "projector", {"log": address, "model": model})
        return Scenario(contender, self.checked(model, model, loaded.facts))

    def tillroll(self, name: str, model: str, kafka: bool = True, processes: int = 1) -> Scenario:
        """tillroll's projector, from Kafka or from this ground's PostgresLog."""
        address = f"kafka://{self.kafka}" if kafka else self.log
        job = {"log": address, "model": model, "processes": processes}
        contender = Contender(name, "projector", job, self.admitted if kafka else "")
        return Scenario(contender, self.checked(model, model), self.units)

    def units(self, answer: dict[str, Any]) -> float:
        """Events, or lines where the history counts these."""
        if self.history.unit == "events":
            return float(answer["events"])
        return float(len(self._covered(answer)))

    def checked(
        self, table: str, model: str, facts: pl.DataFrame | None = None
    ) -> Callable[[str, dict[str, Any]], bool]:
        """A check of `table` against what `model` holds after the events that were folded, of `facts` if not of all."""

        def check(store: str, answer: dict[str, Any]) -> bool:
            wanted = self.history.expected[model](self._covered(answer) if facts is None else facts)
            columns = ", ".join(wanted.columns)
            with psycopg.connect(store) as connection:
                rows = connection.execute(f"select {columns} from {table}".encode()).fetchall()
            return (
                pl.DataFrame(rows, schema=wanted.schema, orient="row")
                .sort("sku", "location_id")
                .equals(wanted)
            )

        return check

    def expected_file(self) -> Path:
        """The rows that come out in the end, as Parquet."""
        path = self.stage.directory / f"{self.history.name}.parquet"
        self.history.expected[self.model](self.loaded.facts).write_parquet(path)
        return path

    def _receipts_file(self, events: int) -> Path:
        """The first `events` receipts, as Parquet: sku, place, quantity, microseconds."""
        path = self.stage.directory / f"{self.history.name}-receipts.parquet"
        micros = pl.col("occurred_at").dt.epoch("us")
        self._receipts(events).select("sku", "location_id", "quantity", micros).write_parquet(path)
        return path

    def _receipts(self, events: int) -> pl.DataFrame:
        return self.loaded.facts.filter(~pl.col("count")).head(events)

    def _covered(self, answer: dict[str, Any]) -> pl.DataFrame:
        """The facts an answer is about: all, those below its `positions`, or the `first` receipts."""
        facts = self.loaded.facts
        if "positions" in answer:
            ends = {int(partition): end for partition, end in answer["positions"].items()}
            return facts.filter(pl.col("offset") < pl.col("partition").replace_strict(ends))
        if "first" in answer:
            return self._receipts(answer["first"])
        return facts

    def play(self, scenarios: list[Scenario], runs: int, warm: bool = True) -> None:
        """Everybody, interleaved."""
        play(scenarios, runs, self.stage.database, self.stage.drop, warm)

    def leave(self) -> None:
        """Make room."""
        for url in (self.log, self.admitted):
            with suppress(psycopg.Error):
                self.stage.drop(url)
