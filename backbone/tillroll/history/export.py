"""An answer as a file for other tools: Parquet, Arrow or CSV, whole or not at all."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from tillroll.errors import DiskFull, TillrollError, UsageError
from tillroll.store.reading import Answer, ViewColumn

__all__ = ["SUFFIXES", "check_target", "export", "lists_of"]

ROWS_AT_ONCE = 50_000

_TYPES: Mapping[str, pl.DataType] = {
    "bigint": pl.Int64(),
    "integer": pl.Int64(),
    "numeric": pl.Float64(),
    "double precision": pl.Float64(),
    "text": pl.String(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "timestamp with time zone": pl.Datetime("us", "UTC"),
}

Lines = Callable[[Answer], Iterable[str]]


def check_target(file: Path, force: bool) -> None:
    """Refuse a file that cannot be meant, before anything is asked. Raises UsageError."""
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file}: the suffix says what to write; end it in {', '.join(SUFFIXES)}")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it first")
    if file.exists() and not force:
        raise UsageError(f"{file} is there already; --force replaces it")


def lists_of(schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The list columns of a view, but for those of times and dates, which a store gives as text."""
    return {
        name: dtype
        for name, dtype in schema.items()
        if isinstance(dtype, pl.List) and not pl.Series(dtype=dtype.inner).dtype.is_temporal()
    }


def export(
    answer: Answer, file: Path, csv_lines: Lines, lists: Mapping[str, pl.DataType] | None = None
) -> int:
    """Write the rows of `answer` as they come, in what the suffix of `file` says; how many.

    csv_lines: the lines of a CSV file. lists: the types of list columns, as `lists_of` gives them; others are written
    as JSON. The file appears under its name when it is complete; what was there before
    stands until then. Raises DiskFull, and TillrollError where the file cannot be written.
    """
    with _appearing(file) as passing:
        if file.suffix == ".csv":
            return _csv(answer, passing, csv_lines)
        write = _parquet if file.suffix == ".parquet" else _arrow
        return write(_tables(answer, lists or {}), passing)


SUFFIXES = (".parquet", ".csv", ".arrow")


@contextmanager
def _appearing(file: Path) -> Iterator[Path]:
    """A name to write under, in the same folder; renamed at the end, removed on any error."""
    passing = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield passing
        with passing.open("rb+") as written:
            os.fsync(written.fileno())
        passing.replace(file)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"no space left to write {file}; free some, then run this again") from None
        raise TillrollError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        passing.unlink(missing_ok=True)


# --- by kind -------------------------------------------------------------------------------------------


def _csv(answer: Answer, file: Path, csv_lines: Lines) -> int:
    rows = _Counted(answer.rows)
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(csv_lines(Answer(answer.columns, iter(rows))))
    return rows.count


def _parquet(tables: Iterator[pa.Table], file: Path) -> int:
    first = next(tables)
    with pyarrow.parquet.ParquetWriter(file, first.schema, compression="zstd") as out:
        return _written(out, chain([first], tables))


def _arrow(tables: Iterator[pa.Table], file: Path) -> int:
    first = next(tables)
    with pa.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_file(sink, first.schema) as out:
        return _written(out, chain([first], tables))


def _written(out: Any, tables: Iterable[pa.Table]) -> int:
    count = 0
    for table in tables:
        out.write_table(table)
        count += table.num_rows
    return count


def _tables(answer: Answer, lists: Mapping[str, pl.DataType]) -> Iterator[pa.Table]:
    """The rows, ROWS_AT_ONCE each; at least one table, which may be empty."""
    schema = pl.Schema({column.name: _dtype(column, lists) for column in answer.columns})
    texts = [
        at for at, column in enumerate(answer.columns) if column.type == "jsonb" and column.name not in lists
    ]
    yield _table([], schema, texts)
    while rows := list(islice(answer.rows, ROWS_AT_ONCE)):
        yield _table(rows, schema, texts)


def _table(rows: list[tuple[Any, ...]], schema: pl.Schema, texts: Sequence[int]) -> pa.Table:
    for at in texts:
        rows = [(*row[:at], _as_json(row[at]), *row[at + 1 :]) for row in rows]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _dtype(column: ViewColumn, lists: Mapping[str, pl.DataType]) -> pl.DataType:
    return lists.get(column.name) or _TYPES.get(column.type, pl.String())


def _as_json(value: Any) -> str | None:
    """A list as JSON, times and dates in it as text."""
    return (
        None
        if value is None
        else json.dumps(value, default=lambda each: each.isoformat(), ensure_ascii=False)
    )


T = TypeVar("T")


class _Counted(Iterable[T]):
    """Counts what is taken from it."""

    def __init__(self, given: Iterable[T]):
        self._given, self.count = given, 0

    def __iter__(self) -> Iterator[T]:
        for each in self._given:
            self.count += 1
            yield each
