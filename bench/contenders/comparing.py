"""tillroll comparing a candidate with the live version, as `tillroll replay compare` does."""

from pathlib import Path
from typing import Any

from bench.contenders import run
from tillroll.log import kafka, postgres  # noqa: F401 - importing is not counted, for anybody
from tillroll.services.replay.compare import comparing
from tillroll.settings import open_log, open_store


def compare(job: dict[str, Any]) -> dict[str, Any]:
    """Counts and five samples of each table."""
    log, store = open_log(job["log"], Path()), open_store(job["store"], Path())
    with comparing(log, store, job["model"]) as compared:
        (table,) = compared.found.tables
        samples = list(compared.rows(table.table, 5))
    return {
        "events": table.live_rows,
        "more": {"changed": table.changed, "samples": len(samples)},
    }


if __name__ == "__main__":
    run(compare)
