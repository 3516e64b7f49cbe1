"""TPC-DS with the read models that come with tillroll: imported into both logs, rebuilt one by one."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from bench.ground import ADMISSION
from bench.measuring import REPOSITORY, Contender, Failed, Scenario, measure, play
from bench.models import SHIPPED
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage
from tillroll.contract.registry import load_contract
from tillroll.publisher import Publisher
from tillroll.services.histories import tpcds as source
from tillroll.services.histories.tables import Tables, generated
from tillroll.settings import open_log

__all__ = ["tpcds"]

EXPECTED = REPOSITORY / "tests" / "acceptance" / "expected_tpcds_channel_sales.sql"
SALES = "channel_sales"


def tpcds(stage: Stage, sizes: Sizes) -> list[Section]:
    """Nothing where the sizes leave it out."""
    if not sizes.tpcds_scale:
        return []
    with stage.kafka() as kafka:
        logs = {"Kafka": f"kafka://{kafka}", "PostgresLog": stage.database()}
        admitted = stage.database()
        with generated(sizes.tpcds_scale) as tables:
            events, rows = _publish(tables, list(logs.values()))
            expected = _digest(tables.query(EXPECTED.read_text()).rows())
        admission = _admit(logs["Kafka"], admitted, events)
        digests = {SALES: expected}
        scenarios = [
            _scenario(model, log, address, admitted if log == "Kafka" else "", digests)
            for model in SHIPPED
            for log, address in logs.items()
        ]
        play(scenarios, 1, stage.database, stage.drop, warm=False)  # fifteen million events vary little
    title = f"TPC-DS at scale {sizes.tpcds_scale:g}; channel_sales equal to plain SQL over its tables, the others on both logs"
    section = Section("tpcds", title, "events", events).take([*scenarios, admission])
    section.rows = rows
    return [section]


def _publish(tables: Tables, addresses: list[str]) -> tuple[int, list[dict[str, Any]]]:
    """All of it into each log; how many events, and how long each log took."""
    logs = [open_log(address, Path()) for address in addresses]
    publishers = [Publisher(log, load_contract()) for log in logs]
    seconds, events = [0.0] * len(logs), 0
    for record, frame in source.history_of(tables).frames():
        events += len(frame)
        for at, publisher in enumerate(publishers):
            start = time.perf_counter()
            publisher.publish_frame(record, frame)
            seconds[at] += time.perf_counter() - start
    for log in logs:
        log.close()
    names = ("Kafka", "PostgresLog")
    rows = [
        {"published into": name, "events/s": events / taken}
        for name, taken in zip(names, seconds, strict=True)
    ]
    return events, rows


def _admit(log: str, store: str, events: int) -> Scenario:
    scenario = Scenario(Contender(ADMISSION, "admission", {"log": log, "events": events}))
    try:
        answer = measure(scenario.contender, store)
        scenario.runs.append(answer | {"units": answer["events"], "right": None})
    except Failed as error:
        scenario.problem = str(error)
    return scenario


def _scenario(model: str, log: str, address: str, store: str, digests: dict[str, str]) -> Scenario:
    contender = Contender(f"tillroll {model}, {log}", "projector", {"log": address, "model": model}, store)
    return Scenario(contender, _same(model, digests))


def _same(model: str, digests: dict[str, str]) -> Callable[[str, dict[str, Any]], bool]:
    """Whether the rows are those that are known; whoever is first makes them known."""

    def check(store: str, answer: dict[str, Any]) -> bool:
        with psycopg.connect(store) as connection:
            found = _digest(connection.execute(f"select * from {model}".encode()).fetchall())
        return digests.setdefault(model, found) == found

    return check


def _digest(rows: list[tuple[Any, ...]]) -> str:
    """Of the rows as texts, in order, whatever order they come in."""
    return hashlib.sha256("\n".join(sorted("\t".join(map(str, row)) for row in rows)).encode()).hexdigest()
