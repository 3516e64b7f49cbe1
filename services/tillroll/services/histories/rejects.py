"""What a history leaves out: counted by reason, and named row by row where that is asked for."""

from collections import Counter
from typing import TextIO

import polars as pl

__all__ = ["REJECT_FRAME", "Rejects"]

REJECT_FRAME = pl.Schema({"source": pl.String, "key": pl.String, "reason": pl.String})
"""source: table or file; key: which row of it; reason: why it became no event."""


class Rejects:
    """Counts rejected rows by reason; memory does not grow with them.

    stream: where each row is written as a line of JSON, or None to only count.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._stream = stream

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows with the columns of REJECT_FRAME."""
        if rows.is_empty():
            return
        named = rows.select(REJECT_FRAME.names())
        self.counts.update(dict(named.group_by("reason").len().iter_rows()))
        if self._stream is not None:
            self._stream.write(named.write_ndjson())

    @property
    def total(self) -> int:
        """All rejected rows."""
        return self.counts.total()
