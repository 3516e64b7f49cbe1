"""What tillroll means to reach, as ratios within one run, worked out from its results."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.ground import ADMISSION
from bench.report import rate
from bench.sections.rebuild import AS_MANY, SINGLE

__all__ = ["ADMISSION", "TARGETS", "Target", "table"]

Results = dict[str, Any]

LOOP = "kafka-python loop, commit per event"
FIVE_HUNDRED = "kafka-python loop, commit per 500"
QUIX = "quixstreams, PostgreSQL sink"
EVENTSOURCING = "eventsourcing on PostgreSQL, tracked projection"
CONSUME = "ceiling: librdkafka into nothing"
KAFKA, POSTGRES = "tillroll, Kafka", "tillroll, PostgresLog"
OURS_ALONE = ("replay", "projections")  # sections without peers
MILLION = 1_000_000
UNMEASURED = "| | not measured |"


@dataclass(frozen=True)
class Target:
    """A figure worked out of the results and where it should be: at least `least`, or at most `most`."""

    what: str
    figure: Callable[[Results], float]
    least: float | None = None
    most: float | None = None
    unit: str = "×"

    def met(self, figure: float) -> bool:
        """Whether `figure` is where it should be."""
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)

    @property
    def wanted(self) -> str:
        """The bound, in words."""
        bound = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
        return f"{bound} {self.unit}"


def table(results: Results, unmeasured: bool = True) -> str:
    """Every target with what this run reached; one whose contenders did not run says so, or is left out."""
    lines = ["| target | wanted | reached | |", "|---|--:|--:|---|"]
    told = [_line(target, results) for target in TARGETS]
    return "\n".join(lines + [line for line in told if unmeasured or not line.endswith(UNMEASURED)])


def _line(target: Target, results: Results) -> str:
    try:
        figure = target.figure(results)
    except (LookupError, StopIteration, ArithmeticError, ValueError):
        return f"| {target.what} | {target.wanted} {UNMEASURED}"
    told = f"{figure:,.0f}" if figure >= 100 else f"{figure:,.2f}"
    return f"| {target.what} | {target.wanted} | {told} | {'met' if target.met(figure) else '**missed**'} |"


def _ratio(section: str, name: str, other: str, other_section: str = "") -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        return _rate(results, section, name) / _rate(results, other_section or section, other)

    return figure


def _section(results: Results, name: str) -> dict[str, Any]:
    return next(dict(section) for section in results["sections"] if section["name"] == name)


def _rate(results: Results, section: str, name: str) -> float:
    """Not a number where rows were wrong: no target is met by that."""
    found = next(one for one in _section(results, section)["scenarios"] if one["name"] == name)
    return math.nan if any(run["right"] is False for run in found["runs"]) else rate(found)


def _waits(log: str, column: str, events: int = 1_000) -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        rows = _section(results, "latency")["rows"]
        return float(
            next(row for row in rows if row["log"].startswith(log) and row["events/s"] == events)[column]
        )

    return figure


def _growth(results: Results) -> float:
    """Cost per event at the largest history against that at a million, the worse of the two logs.

    Raises KeyError where a million was the largest.
    """
    costs = []
    for log in ("Kafka", "PostgresLog"):
        found = {one["name"]: rate(one) for one in _section(results, f"growth on {log}")["scenarios"]}
        sizes = {int("".join(filter(str.isdigit, name))): name for name in found}
        if max(sizes) <= MILLION:
            raise KeyError("nothing larger than a million events")
        costs.append(found[sizes[MILLION]] / found[sizes[max(sizes)]])
    return max(costs)


def _worse(name: str, other: str) -> Callable[[Results], float]:
    """The rate of `name` against that of `other` in the replays, on the log where it is lower."""

    def figure(results: Results) -> float:
        logs = ("Kafka", "PostgresLog")
        return min([_ratio("replay", f"{name}, {log}", f"{other}, {log}")(results) for log in logs])

    return figure


def _milliseconds(what: str) -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        rows = _section(results, "switching")["rows"]
        return float(next(row for row in rows if row["what"].startswith(what))["milliseconds"])

    return figure


def _memory(results: Results) -> float:
    """GiB, the largest peak of a process of tillroll's; of two processes, of whom the sum is known, half of it."""
    peaks = [
        run["peak"] / (2 if "two processes" in scenario["name"] else 1)
        for section in results["sections"]
        for scenario in section["scenarios"]
        for run in scenario["runs"]
        if scenario["name"].startswith("tillroll") or section["name"] in OURS_ALONE
    ]
    return float(max(peaks)) / 2**30


TARGETS = (
    Target(
        "rebuild, flat, Kafka, against the loop with a commit per event", _ratio("flat", KAFKA, LOOP), 150
    ),
    Target("... with a commit per 500", _ratio("flat", KAFKA, FIVE_HUNDRED), 40),
    Target("... against Quix Streams", _ratio("flat", KAFKA, QUIX), 12),
    Target("... against the eventsourcing library", _ratio("flat", KAFKA, EVENTSOURCING), 15),
    Target("... against librdkafka consuming into nothing", _ratio("flat", KAFKA, CONSUME), 1),
    Target("two processes against one", _ratio("flat", "tillroll, Kafka, two processes", KAFKA), 1.6),
    Target("rebuild, nested orders, lines, against the loop", _ratio("orders", KAFKA, LOOP), 60),
    Target("PostgresLog, big batches, against Kafka", _ratio("flat", POSTGRES, KAFKA), 1),
    Target(
        "PostgresLog of single-event appends, against as many in big batches",
        _ratio("flat", SINGLE, AS_MANY),
        0.6,
    ),
    Target(
        "store_availability, a Level with 1 % counts, Kafka, against the loop",
        _ratio("flat", "tillroll store_availability, Kafka", LOOP),
        50,
    ),
    Target(
        "encoding frames, against fastavro and kafka-python's builder",
        _ratio("encoding", "tillroll", "fastavro, kafka-python's builder"),
        8,
    ),
    Target(
        "import into PostgresLog, against eventsourcing's append",
        _ratio("import", POSTGRES, "eventsourcing on PostgreSQL"),
        20,
    ),
    Target(
        "import into Kafka, against kafka-python's idempotent producer",
        _ratio("import", KAFKA, "kafka-python's idempotent producer, fastavro"),
        3,
    ),
    Target(
        "publish to visible at 1,000/s, PostgresLog, p50", _waits("PostgresLog", "p50"), most=5, unit="ms"
    ),
    Target(
        "publish to visible at 1,000/s, PostgresLog, p99", _waits("PostgresLog", "p99"), most=20, unit="ms"
    ),
    Target("publish to visible at 1,000/s, Kafka, p99", _waits("Kafka", "p99"), most=50, unit="ms"),
    Target("replay rebuild, against the projector", _worse("replay rebuild", "projector"), 0.85),
    Target("explain of one key, against query --as-of", _worse("explain of one key", "query --as-of"), 3),
    Target("compare of a million rows", _milliseconds("compare"), most=10_000, unit="ms"),
    Target(
        "the longest read while versions are switched",
        _milliseconds("the longest read meanwhile"),
        most=100,
        unit="ms",
    ),
    Target("cost per event, largest history against a million", _growth, most=1.15),
    Target("memory of a process, largest", _memory, most=1, unit="GiB"),
)
