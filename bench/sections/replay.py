"""Replay as an everyday tool: a rebuild beside the projector, the past from the log alone, comparing and switching."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from bench.contenders.switching import READERS
from bench.ground import Ground
from bench.histories.flat import MANY, WIDE
from bench.loading import BATCH, load, prepare
from bench.measuring import Contender, Failed, Scenario, measure
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage
from tillroll.settings import open_log

__all__ = ["replay"]

MODEL = "stock_levels"
SWITCHES = 10  # promotions, and as many rollbacks


def replay(stage: Stage, sizes: Sizes) -> list[Section]:
    """The rates of one history, then the seconds of comparing and switching as many rows as it has events."""
    with stage.kafka() as kafka:
        ground = Ground(stage, replace(MANY, name="replayed"), sizes.replayed, kafka)
        ground.admit()
        scenarios = [
            each
            for log in ("Kafka", "PostgresLog")
            for each in _scenarios(ground, log, f"kafka://{kafka}" if log == "Kafka" else ground.log)
        ]
        ground.play(scenarios, sizes.side_runs)
        ground.leave()
    rates = Section("replay", "replay: events of the log a second", "events", sizes.replayed).take(scenarios)
    switching = Section("switching", "comparing and switching versions", "rows", sizes.compared)
    switching.rows = _versions(stage, sizes)
    return [rates, switching]


def _scenarios(ground: Ground, log: str, address: str) -> list[Scenario]:
    """The projector is the measure; the rebuild has a live version beside it that stands at the end."""
    kafka = log == "Kafka"
    first = ground.tillroll(f"projector, {log}", MODEL, kafka=kafka)
    live = ground.stage.database(first.contender.store or None)
    measure(first.contender, live)
    job = {"log": address, "model": MODEL, "events": ground.loaded.events}
    rebuilt = Contender(f"replay rebuild, {log}", "rebuilding", job, live)
    asked = Contender(f"query --as-of, {log}", "past", job, ground.admitted if kafka else "")
    return [
        first,
        Scenario(rebuilt, ground.checked(f"{MODEL}_v2.{MODEL}", MODEL)),
        Scenario(asked, lambda store, answer: bool(_rows(live) == answer["more"]["rows"])),
        _explained(ground, job, live, log, asked.store),
    ]


def _explained(ground: Ground, job: dict[str, Any], live: str, log: str, store: str | None) -> Scenario:
    """One cell, which has to be what the read model says."""
    with psycopg.connect(live) as connection:
        found = connection.execute(
            f"select sku, location_id, quantity from {MODEL} order by sku limit 1".encode()
        ).fetchone()
    assert found is not None
    key = {"sku": found[0], "location_id": found[1]}
    contender = Contender(
        f"explain of one key, {log}", "past", job | {"key": key, "column": "quantity"}, store
    )
    return Scenario(contender, lambda store, answer: bool(answer["more"]["value"] == found[2]))


def _versions(stage: Stage, sizes: Sizes) -> list[dict[str, Any]]:
    log, store = stage.database(), stage.database()
    opened = prepare(open_log(log, Path()), WIDE.topic)
    load(WIDE, sizes.compared, [(opened, BATCH)])
    opened.close()
    job = {"log": log, "model": MODEL}
    try:
        measure(Contender("live", "projector", job), store)
        measure(Contender("candidate", "rebuilding", job), store)
        with psycopg.connect(store) as connection:
            connection.execute(f"update {MODEL}_v2.{MODEL} set quantity = quantity + 1 where sku < 'sku-01'")
        compared = [measure(Contender("compare", "comparing", job), store) for _ in range(sizes.side_runs)]
        read = {"times": SWITCHES, "read": f"select count(*) from (select from {MODEL} limit 10) as found"}
        switched = measure(Contender("switch", "switching", job | read), store)["more"]
    except Failed as error:
        return [{"what": str(error)}]
    finally:
        stage.drop(store)
        stage.drop(log)
    seconds = sorted(each["seconds"] for each in compared)[len(compared) // 2]
    rows, changed = compared[0]["events"], compared[0]["more"]["changed"]
    reads = f"{switched['reads']:,} reads by {READERS} readers, {switched['errors']} errors"
    return [
        _told(f"compare, {rows:,} rows, {changed:,} of them changed", seconds),
        _told(f"the longest of {2 * SWITCHES} switches", switched["switch"]),
        _told("the longest read before", switched["before"]),
        _told(f"the longest read meanwhile; {reads}", switched["during"]),
    ]


def _told(what: str, seconds: float) -> dict[str, Any]:
    return {"what": what, "milliseconds": round(seconds * 1e3, 1)}


def _rows(store: str) -> int:
    with psycopg.connect(store) as connection:
        row = connection.execute(f"select count(*) from {MODEL}".encode()).fetchone()
    return int(row[0]) if row else 0
