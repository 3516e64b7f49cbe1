"""One contender a module, run as ``python -m bench.contenders.<name> JOB`` in a process of its own.

JOB is a JSON object on the command line; the answer is one JSON object on stdout: events, seconds, cpu
(seconds), peak (bytes), and for contenders that stop early `positions`, how far they came.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["run"]


def run(contender: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run `contender` on the job of the command line and print what it took."""
    job = json.loads(sys.argv[1])
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    answer = contender(job)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": _peak()} | answer))


def _peak() -> int:
    """Largest resident size of this process, bytes. Linux's ru_maxrss would count the parent's before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        found = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(found[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
