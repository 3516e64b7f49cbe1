"""A ceiling: COPY of the rows that come out in the end, as if all that leads to them cost nothing."""

from typing import Any

import polars as pl
import psycopg

from bench.contenders import run
from bench.contenders.shapes import SHAPES


def copy_rows(job: dict[str, Any]) -> dict[str, Any]:
    """COPY the rows of the Parquet file `rows` into the read model's table and commit."""
    rows = pl.read_parquet(job["rows"])
    with psycopg.connect(job["store"]) as connection:
        connection.execute(SHAPES[job["shape"]].table.encode())
        columns = ", ".join(rows.columns)
        with connection.cursor().copy(f"copy peer_rows ({columns}) from stdin (format csv)".encode()) as copy:
            copy.write(rows.write_csv(include_header=False).encode())
        connection.commit()
    return {"events": job["events"]}


if __name__ == "__main__":
    run(copy_rows)
