"""Rows set aside on disk so that those of one invoice come back together, wherever in the input they stood."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

__all__ = ["Spool"]


class Spool:
    """Rows spread over `parts` by a hash of one column; memory holds one part at a time.

    The hash need only agree with itself within a run, so Polars' own will do.
    """

    def __init__(self, folder: Path, column: str, parts: int) -> None:
        self._folder = folder
        self._share = pl.col(column).hash() % parts
        self._parts = parts
        self._written = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Set `rows` aside."""
        for (part,), share in rows.group_by(self._share.alias("part")):
            share.write_ipc(self._folder / f"{part}-{self._written}.arrow")
        self._written += 1

    def parts(self) -> Iterator[pl.DataFrame]:
        """All rows, part by part: no value of the column is in two of them."""
        for part in range(self._parts):
            files = sorted(self._folder.glob(f"{part}-*.arrow"))
            if files:
                yield pl.concat([pl.read_ipc(file) for file in files])
