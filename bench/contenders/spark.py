"""Spark as its documentation teaches: a batch read from Kafka, from_avro, group by, and a write by JDBC."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.avro.functions import from_avro

from bench.contenders import run
from bench.contenders.door import open_door

JARS = Path(sys.prefix) / "jars"
TABLE = (
    "create table peer_rows (sku text, location_id text, quantity bigint not null, last_moved_at timestamptz not null, "
    "primary key (sku, location_id))"
)


def batch(job: dict[str, Any]) -> dict[str, Any]:
    """Fold the whole topic. Starting Spark is not counted, as starting Python is not."""
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.jars", ",".join(map(str, JARS.glob("*.jar"))))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC")
        .config("spark.sql.shuffle.partitions", os.cpu_count())
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    url = _jdbc(job["store"])
    _make_table(spark, url)
    java = spark.sparkContext._gateway.proc.pid
    before, start = _cpu(java), time.perf_counter()
    _fold(spark, job, url)
    taken = {"seconds": time.perf_counter() - start, "cpu": _cpu(java) - before, "peak": _peak(java)}
    spark.stop()
    return {"events": job["total"]} | taken


def _fold(spark: SparkSession, job: dict[str, Any], url: str) -> None:
    received = job["schemas"]["StockReceived"]
    source = (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", job["kafka"])
        .option("subscribe", job["topic"])
        .option("startingOffsets", "earliest")
        .load()
    )
    wanted = source.filter(f.hex(f.expr("substring(value, 1, 5)")) == received["prefix"].upper())
    body = f.expr("substring(value, 6, length(value) - 5)")
    events = wanted.select(from_avro(body, json.dumps(received["avro"])).alias("event")).select("event.*")
    rows = events.groupBy("sku", "location_id").agg(
        f.sum("quantity").alias("quantity"), f.max("occurred_at").alias("last_moved_at")
    )
    rows.write.jdbc(
        url,
        "peer_rows",
        mode="append",
        properties={"driver": "org.postgresql.Driver", "reWriteBatchedInserts": "true"},
    )


def _jdbc(store: str) -> str:
    parts = urlsplit(store)
    port = open_door(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
    return f"jdbc:postgresql://127.0.0.1:{port}{parts.path}?user={parts.username}&password=none"


def _make_table(spark: SparkSession, url: str) -> None:
    connection = spark._jvm.org.postgresql.Driver().connect(url, spark._jvm.java.util.Properties())
    connection.createStatement().execute(TABLE)
    connection.close()


def _cpu(pid: int) -> float:
    """CPU seconds of the process so far; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    run(batch)
