"""Differing rows as Parquet: key, which side, and the columns as text, old and new."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tillroll.store.comparing import Changed

__all__ = ["write_differing"]

ROWS_AT_ONCE = 50_000


def write_differing(rows: Iterable[Changed], path: Path) -> Path:
    """Write `rows`: the key's columns, ``difference`` (added, removed, changed), ``live`` and ``candidate`` as JSON."""
    frames = [pl.DataFrame(part, infer_schema_length=None) for part in _parts(_told(row) for row in rows)]
    pl.concat(frames, how="vertical_relaxed").write_parquet(path)
    return path


def _told(row: Changed) -> dict[str, Any]:
    difference = "added" if row.live is None else "removed" if row.candidate is None else "changed"
    return {
        **row.key,
        "difference": difference,
        "live": None if row.live is None else json.dumps(row.live, default=str),
        "candidate": None if row.candidate is None else json.dumps(row.candidate, default=str),
    }


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part = list[dict[str, Any]]()
    for row in rows:
        part.append(row)
        if len(part) == ROWS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part
