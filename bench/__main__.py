"""Measure tillroll beside what a user would take instead: ``make bench``, ``make bench-full``.

One section after the other on fresh servers; results as JSON in bench/results, told as Markdown on stdout and,
with --docs, in docs/performance.md. ``make bench ARGS="--only flat --events 100000 --runs 3"`` for a part. Sections
that are left out keep the results of an earlier run on the same machine, and say of which one they are.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import docs, keeping, report, targets
from bench.machine import commit, machine, now
from bench.sections import Section
from bench.sections.growth import growth, projections
from bench.sections.latency import latency
from bench.sections.rebuild import rebuild, sides
from bench.sections.replay import replay
from bench.sections.tpcds import tpcds
from bench.sections.writing import writing
from bench.sizes import FULL, QUICK, SMOKE, Sizes
from bench.stage import Stage, stage
from tillroll.errors import ConfigurationError

RESULTS = Path(__file__).parent / "results"
SIZES = {sizes.name: sizes for sizes in (QUICK, FULL, SMOKE)}
OTHER = "other"  # what was run with numbers of one's own is kept apart from what the page shows

SECTIONS: dict[str, Callable[[Stage, Sizes], list[Section]]] = {
    "flat": rebuild,
    "sides": sides,
    "writing": writing,
    "latency": latency,
    "replay": replay,
    "growth": growth,
    "projections": projections,
    "tpcds": tpcds,
}


def run(sizes: Sizes, only: list[str], path: Path) -> dict[str, Any]:
    """The results of the sections named, of all if none is; kept at `path` after each of them."""
    results: dict[str, Any] = {}
    with stage() as servers:
        place = machine() | {"postgres": servers.version()}
        for name, section in SECTIONS.items():
            if only and name not in only:
                continue
            print(f"{name}:", file=sys.stderr, flush=True)
            origin = {"group": name, "at": now(), "commit": commit()}
            found = [each.as_json() | origin for each in section(servers, sizes)]
            told = {"sizes": sizes.name, "numbers": json.loads(json.dumps(asdict(sizes))), "machine": place}
            results = keeping.keep(told | {"sections": found}, path, list(SECTIONS))
    return results


def arguments() -> argparse.Namespace:
    """What is wanted."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--sizes", choices=SIZES, default="quick", help="quick (some eighteen minutes), full (hours), smoke"
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=SECTIONS, help="a section; may be repeated"
    )
    parser.add_argument("--events", type=int, help="events of the first history")
    parser.add_argument("--runs", type=int, help="runs that count, of every contender")
    parser.add_argument("--scale", type=float, help="of TPC-DS; 0 leaves it out")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md and its plots anew")
    return parser.parse_args()


def main() -> None:
    """Run, keep and print."""
    asked = arguments()
    sizes = SIZES[asked.sizes]
    if asked.events:
        sizes = replace(sizes, flat=asked.events, name=OTHER)
    if asked.runs:
        sizes = replace(sizes, runs=asked.runs, side_runs=asked.runs, name=OTHER)
    if asked.scale is not None:
        sizes = replace(sizes, tpcds_scale=asked.scale, name=OTHER)
    if asked.docs and sizes.name not in docs.SHOWN:
        sys.exit(
            "--docs shows quick or full runs with the usual numbers: leave out --events, --runs and --scale"
        )
    try:
        results = run(sizes, asked.only, RESULTS / f"{sizes.name}.json")
    except ConfigurationError as error:  # no Java, say; what was measured before is kept
        sys.exit(f"make bench: {error}")
    print(f"{report.tables(results)}\n\n{targets.table(results)}")
    if asked.docs:
        docs.write(results)


if __name__ == "__main__":
    main()
