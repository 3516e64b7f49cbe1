"""Publish to visible: how long after an event was due its contribution could be read, under open-loop load."""

import time
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bench.histories.flat import FEW
from bench.loading import prepare
from bench.measuring import Contender, Failed, Running, measure
from bench.models import StockLevels
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage
from tillroll.log import extent
from tillroll.settings import open_log, open_store

__all__ = ["latency", "waits"]

WARM_SECONDS = 3.0  # of the same load before it counts
SHARES = {"p50": (0.5, 1), "p99": (0.99, 100), "p99.9": (0.999, 1_000), "slowest": (1.0, 1)}
"""Of events, and of how many at least."""
PATIENCE = 60.0  # seconds for the rest to become visible


def latency(stage: Stage, sizes: Sizes) -> list[Section]:
    """Each rate on each log; on Kafka with admission."""
    title = "publish to visible in the read model, open-loop load (late sends count), milliseconds"
    section = Section("latency", title, "events", 0)
    for rate, seconds in sizes.latency.items():
        section.rows.append(_row("PostgresLog", stage, stage.database(), rate, seconds))
        with stage.kafka() as kafka:
            section.rows.append(_row("Kafka, admission included", stage, f"kafka://{kafka}", rate, seconds))
    section.events = sum(row.get("events") or 0 for row in section.rows)
    return [section]


def waits(sent: pl.DataFrame, seen: pl.DataFrame, since: float) -> pl.Series:
    """Milliseconds from due to visible of each event due from `since` on; null for what never became visible.

    sent: partition, offset, due (seconds). seen: partition, next_offset, seen (seconds): an event is visible
    from the first look on at which its partition's position lies beyond it.
    """
    looks = seen.sort("next_offset", "seen").unique(
        ["partition", "next_offset"], keep="first", maintain_order=True
    )
    events = (
        sent.filter(pl.col("due") >= since).with_columns(next_offset=pl.col("offset") + 1).sort("next_offset")
    )
    joined = events.join_asof(
        looks, on="next_offset", by="partition", strategy="forward", check_sortedness=False
    )
    return joined.select(wait=(pl.col("seen") - pl.col("due")) * 1_000)["wait"]


def _row(name: str, stage: Stage, log: str, rate: int, seconds: float) -> dict[str, Any]:
    try:
        told: dict[str, Any] = {"log": name, "events/s": rate}
        return told | _play(stage, log, rate, seconds)
    except Failed as error:
        return {"log": name, "events/s": rate, "rows right": str(error)}


def _play(stage: Stage, log: str, rate: int, seconds: float) -> dict[str, Any]:
    prepare(opened := open_log(log, Path()), "stock")
    store, sent, seen = stage.database(), stage.directory / "sent.parquet", stage.directory / "seen.parquet"
    job = {"log": log, "model": StockLevels.name}
    reading = Contender("reader", "watching", job | {"file": str(seen)})
    with (
        Running(Contender("projector", "following", job), store) as follower,
        Running(reading, store) as reader,
    ):
        _await(follower, store, dict.fromkeys(range(opened.partitions("stock")), 0))
        load = {"rate": rate, "seconds": seconds + WARM_SECONDS, "file": str(sent)}
        answer = measure(Contender("load", "sending", job | load))
        ends = {origin.partition: end for origin, end in extent.ends(opened, ["stock"]).items()}
        _await(follower, store, ends)
        reader.finish()
        projector = follower.finish()
    opened.close()
    row = _told(pl.read_parquet(sent), pl.read_parquet(seen), answer, projector)
    row["rows right"] = "yes" if _is_right(store, answer["events"]) else "NO"
    stage.drop(store)
    return row


def _told(
    sent: pl.DataFrame, seen: pl.DataFrame, load: dict[str, Any], projector: dict[str, Any]
) -> dict[str, Any]:
    since = sent["due"][0] + WARM_SECONDS
    found = waits(sent, seen, since)
    durable = (
        sent.filter(pl.col("due") >= since).select((pl.col("durable") - pl.col("due")) * 1_000).to_series()
    )
    return {
        "events": len(found),
        "sent/s": round(load["events"] / load["seconds"], 1),
        **{
            name: found.fill_null(float("inf")).quantile(share, "higher") if len(found) >= least else None
            for name, (share, least) in SHARES.items()
        },
        "durable p50": durable.quantile(0.5, "higher"),
        "CPU s / 1M": round(projector["cpu"] / load["events"] * 1e6, 1),
        "peak MiB": round(projector["peak"] / 2**20),
    }


def _await(follower: Running, store: str, ends: dict[int, int]) -> None:
    """Until the read model stands at `ends`, or patience ends."""
    opened, until = open_store(store, Path()), time.monotonic() + PATIENCE
    while time.monotonic() < until and not follower.ended:
        at = {origin.partition: offset for origin, offset in opened.positions(StockLevels).items()}
        if all(at.get(partition, -1) >= end for partition, end in ends.items()):
            break
        time.sleep(0.05)
    time.sleep(0.05)  # for the reader to see it, too
    opened.close()


def _is_right(store: str, events: int) -> bool:
    wanted = FEW.expected[StockLevels.name](FEW.facts("StockReceived", FEW.chunk(0, events)["StockReceived"]))
    columns = ", ".join(wanted.columns)
    with psycopg.connect(store) as connection:
        rows = connection.execute(f"select {columns} from {StockLevels.name}".encode()).fetchall()
    return pl.DataFrame(rows, schema=wanted.schema, orient="row").sort("sku", "location_id").equals(wanted)
