"""Where a run took place, and with what."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.measuring import ENVIRONMENTS, REPOSITORY

__all__ = ["commit", "machine", "now"]

LIBRARIES = (
    "polars",
    "polars-avro",
    "pyruhvro",
    "psycopg",
    "kafka-python",
    "fastavro",
    "confluent-kafka",
    "eventsourcing",
)
PEERS = ("quixstreams", "pyspark")
WRITTEN = ("bench/results", "docs/performance.md", "docs/plots", "README.md")  # by a run itself


def machine() -> dict[str, Any]:
    """Processor, memory, versions."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "kafka": _kafka(),
        "libraries": {name: _version(name) for name in LIBRARIES} | {name: _peer(name) for name in PEERS},
    }


def now() -> str:
    """The time, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def commit(checkout: Path = REPOSITORY) -> str:
    """The commit, with a plus where the tree differs from it otherwise than by results and the pages made of them."""
    named = _git(checkout, "rev-parse", "--short=10", "HEAD")
    changed = _git(checkout, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    return f"{named}{'+' if changed else ''}" or "unknown"


def _git(checkout: Path, *asked: str) -> str:
    command = ["git", "-C", str(checkout), *asked]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(listed) if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _kafka() -> str:
    """The version that deploy/kafka fetches."""
    pom = Path(__file__).parents[1] / "deploy" / "kafka" / "pom.xml"
    found = [line for line in _lines(pom) if "<groupId>org.apache.kafka</groupId>" in line]
    return found[0].partition("<version>")[2].partition("<")[0] if found else "unknown"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _peer(name: str) -> str:
    """The version in an environment of its own."""
    found = sorted((ENVIRONMENTS / name).glob(f"lib/python*/site-packages/{name}-*.dist-info"))
    return found[0].name.removesuffix(".dist-info").partition("-")[2] if found else "not installed"
