"""One contender a module, run as ``python -m bench.contenders.<name> JOB`` in a process of its own.

JOB is a JSON object on the command line; the answer is one JSON object on stdout: events, seconds, cpu
(seconds of this process and its children), peak (bytes), and for contenders that stop early how far they
came: `positions` (next offset by partition). Nothing here imports tillroll: peers may live in environments
without it.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["cpu", "peak", "run", "when_told"]


def run(contender: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run `contender` on the job of the command line and print what it took.

    What the contender itself tells of seconds, cpu or peak comes before what is measured around it.
    """
    job = json.loads(sys.argv[1])
    before, start = cpu(), time.perf_counter()
    answer = contender(job)
    taken = {"seconds": time.perf_counter() - start, "cpu": cpu() - before, "peak": peak()}
    print(json.dumps(taken | answer))


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak() -> int:
    """Largest resident size of this process, bytes. Linux's ru_maxrss would count the parent's before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        found = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(found[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def when_told(stop: Callable[[], None]) -> None:
    """Call `stop` once stdin is closed: how a contender that would go on for ever is told to end."""

    def wait() -> None:
        sys.stdin.read()
        stop()

    threading.Thread(target=wait, daemon=True).start()
