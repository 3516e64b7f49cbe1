"""CSV files, plain or gzipped, read in batches of text columns; what is wrong with a file is said in one line."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv

from tillroll.errors import TillrollError

__all__ = ["csv_files", "read_batches"]

SUFFIXES = (".csv", ".csv.gz")
BLOCK = 4 << 20
"""Bytes of text read at a time: about 50,000 rows of an invoice file."""

GZIP = b"\x1f\x8b"
LONGEST_HEADER = 10_000


def csv_files(paths: Iterable[Path]) -> list[Path]:
    """The files meant by `paths`, each once, by name; a folder means all CSV files below it.

    Raises TillrollError for a path that is not there and for a folder without any.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _files_of(path):
            found.setdefault(file.resolve(), file)
    return sorted(found.values(), key=lambda file: (file.name, file))


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        inside = [file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES) and file.is_file()]
        if not inside:
            raise TillrollError(f"{path}: no {' or '.join(SUFFIXES)} file in this folder; name another one")
        return inside
    if not path.exists():
        raise TillrollError(f"{path}: there is no such file or folder; check the path")
    return [path]


def read_batches(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The `wanted` columns as text (empty = null) and ``row``, the number of the row after the header, from 1.

    A file of no bytes gives nothing. Raises TillrollError when the file cannot be read, is binary, has another
    header, or ends in the middle; batches given before that stand.
    """
    with _explained(path), _opened(path) as stream:
        names = _header(path, stream, wanted)
        if names:
            yield from _batches(stream, names, wanted)


def _batches(stream: BinaryIO, names: list[str], wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=list(wanted),
        strings_can_be_null=True,
        null_values=[""],
    )
    if not stream.peek(1):  # type: ignore[attr-defined]
        return
    reader = pyarrow.csv.open_csv(
        stream,
        read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=BLOCK),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=options,
    )
    above = 0
    for batch in reader:
        frame = pl.DataFrame(pl.from_arrow(batch))
        yield frame.with_row_index("row", above + 1).with_columns(pl.col("row").cast(pl.Int64))
        above += len(frame)


def _header(path: Path, stream: BinaryIO, wanted: Sequence[str]) -> list[str]:
    """Column names of the first line; none when the file is empty."""
    line = stream.readline(LONGEST_HEADER)
    if b"\0" in line or b"\0" in stream.peek(1):  # type: ignore[attr-defined]
        raise TillrollError(f"{path}: this is no text; give the CSV file, plain or gzipped")
    names = [name.strip().strip('"') for name in line.decode("utf-8-sig").strip().split(",")]
    missing = [name for name in wanted if name not in names]
    if line and missing:
        raise TillrollError(f"{path}: the header lacks {', '.join(missing)}; expected {','.join(wanted)}")
    return names if line else []


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        if plain.peek(2)[:2] != GZIP:
            yield plain
            return
        with gzip.open(plain) as unpacked:
            yield cast("BinaryIO", unpacked)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise TillrollError(f"{path}: the gzip file ends in the middle; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TillrollError(f"{path}: the gzip file is damaged ({error}); fetch it again") from None
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())[:200]
        if "UTF8" in reason:
            raise _not_utf8(path) from None
        raise TillrollError(f"{path}: not a whole CSV file ({reason}); mend it or fetch it again") from None
    except OSError as error:
        raise TillrollError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and your rights"
        ) from None


def _not_utf8(path: Path) -> TillrollError:
    return TillrollError(f"{path}: this is no UTF-8 text; convert it first (iconv -f ISO-8859-1 -t UTF-8)")
