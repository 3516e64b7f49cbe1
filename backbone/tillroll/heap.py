"""The process's heap: memory that a batch has freed is kept for the next one.

Every batch takes some tens of megabytes and frees them. glibc gives pieces of that size back to the system at once, and
the next batch pays for each page anew: 90,000 of the 240,000 page faults of a rebuild of a million events, a tenth of its time
(docs/decisions/0018). Heaps that threads have already stay; so it is done before others start.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["keep_freed", "uncollected", "variables_to_keep_freed"]

# Numbers of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

LARGEST_PIECE = 32 << 20  # bytes that come from the heap at once; glibc allows no more
MOST_KEPT = 256 << 20  # bytes free at the end of the heap, beyond which they are given back


@cache
def keep_freed() -> bool:
    """Have glibc keep what is freed, up to MOST_KEPT; False where there is another C library. Once per process."""
    if not sys.platform.startswith("linux"):
        return False
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is None:
        return False
    taken = [
        adjust(_TRIM_THRESHOLD, MOST_KEPT),
        adjust(_MMAP_THRESHOLD, LARGEST_PIECE),
        adjust(_ARENA_MAX, 1),
    ]
    return all(taken)


def variables_to_keep_freed(most: int) -> dict[str, str]:
    """Our environment for a program that is to keep `most` bytes of what it frees, unless its user has said how much."""
    ours = {"MALLOC_TRIM_THRESHOLD_": most, "MALLOC_MMAP_THRESHOLD_": LARGEST_PIECE}  # mallopt(3)
    return {name: str(size) for name, size in ours.items()} | os.environ


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles meanwhile, for work that makes and drops many objects and no cycle.

    Python looks for cycles after so many new objects, and then goes through all that the process holds: a fifth of an import's time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
