"""Standard streams: one for results alone, and what to do where one is closed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TextIO, cast

__all__ = ["drop_output", "for_results_alone", "open_missing", "results"]

_kept: ContextVar[TextIO] = ContextVar("results")


@contextmanager
def for_results_alone() -> Iterator[None]:
    """Keep stdout for results: what anything else prints, such as the code of a projection, goes to stderr."""
    token = _kept.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.reset(token)


def results() -> TextIO:
    """Where results are written."""
    return _kept.get(sys.stdout)


def open_missing() -> None:
    """Put something in the place of standard streams that were closed (``>&-``).

    Whoever closes stdout wants no output: it goes nowhere, and the command is done as ever. A closed stdin is refused
    by the command that reads it. Without this the next file or connection would be opened in their place, and output
    would go there.
    """
    sys.stdin = sys.stdin or _nowhere(0, "r")
    sys.stdout = sys.stdout or _nowhere(1, "w")
    sys.stderr = sys.stderr or _nowhere(2, "w")


def _nowhere(number: int, mode: str) -> TextIO:
    found = os.open(os.devnull, os.O_WRONLY)
    if found != number:
        os.dup2(found, number)
        os.close(found)
    return cast(TextIO, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def drop_output() -> None:
    """Let what is still buffered go nowhere: Python would fail once more when it flushes at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
