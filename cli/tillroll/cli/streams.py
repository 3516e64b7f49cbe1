"""Standard streams that are closed, by whoever started the command or by whoever read its output."""

import os
import sys
from typing import TextIO, cast

__all__ = ["drop_output", "open_missing"]


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
