"""Input and output files of commands: opened carefully, refused in one line."""

import codecs
import errno
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tillroll.errors import DiskFull, TillrollError, UsageError

__all__ = ["STDIN", "Line", "lines_of", "rejects_file", "require_files"]

STDIN = "-"
LONGEST_LINE = 16 << 20
"""Bytes. An event is a few thousand at most; a file without line ends must not fill the memory."""

_SAMPLE = 8192
_GZIP = b"\x1f\x8b"

Line = tuple[int, bytes | None]
"""Number from 1, and text without line end; None where it is longer than LONGEST_LINE."""


def require_files(names: Iterable[str]) -> None:
    """Refuse names that are no readable file, before anything is done with the others. ``-`` is stdin."""
    for name in names:
        if name == STDIN:
            continue
        if not name or not Path(name).exists():
            raise TillrollError(f"{name or repr(name)}: there is no such file; check the path")
        if Path(name).is_dir():
            raise TillrollError(f"{name} is a folder; name the files in it")


def lines_of(name: str) -> Iterator[Line]:
    """The lines of a text file, plain or gzipped, or of stdin; without the byte order mark it may begin with.

    Raises TillrollError when it cannot be read, is binary, or is a gzip file cut in the middle; lines given
    before that stand.
    """
    try:
        with _opened(name) as stream:
            _refuse_binary(stream)
            yield from _lines(stream)
    except EOFError:
        raise TillrollError(
            f"{name} is cut: it ends in the middle of what was packed; copy it anew"
        ) from None
    except (OSError, zlib.error) as error:
        raise TillrollError(f"{name} cannot be read to its end: {_reason(error)}") from None
    except _BinaryError:
        raise TillrollError(f"{name} is no text but binary; one JSON object a line is expected") from None


class _BinaryError(Exception):
    pass


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with open(name, "rb") as plain:
        if plain.peek(2).startswith(_GZIP):
            with gzip.open(plain) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield plain


def _refuse_binary(stream: BinaryIO) -> None:
    """No text holds a NUL; what holds one near its beginning is a picture, an archive or UTF-16."""
    peek = getattr(stream, "peek", None)
    if peek is not None and b"\0" in peek(_SAMPLE)[:_SAMPLE]:
        raise _BinaryError


def _lines(stream: BinaryIO) -> Iterator[Line]:
    number = 0
    while text := stream.readline(LONGEST_LINE):
        number += 1
        if len(text) == LONGEST_LINE and not text.endswith(b"\n"):
            while text and not text.endswith(b"\n"):
                text = stream.readline(LONGEST_LINE)
            yield number, None
        else:
            text = text.removeprefix(codecs.BOM_UTF8) if number == 1 else text  # editors on Windows write it
            yield number, text.rstrip(b"\r\n")


@contextmanager
def rejects_file(path: Path | None, inputs: Iterable[str | Path] = ()) -> Iterator[BinaryIO | None]:
    """The file for what is rejected, emptied first; None if none is wanted.

    Raises UsageError when it is one of `inputs`, TillrollError or DiskFull when it cannot be written.
    """
    if path is None:
        yield None
        return
    if any(Path(given).resolve() == path.resolve() for given in inputs):
        raise UsageError(f"--rejects {path} would overwrite the input; name another file")
    try:
        stream = path.open("wb")
    except OSError as error:
        raise TillrollError(f"--rejects {path} cannot be written: {_reason(error)}") from None
    try:
        with stream:
            yield stream
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"no room to write {path}; free some, then run this again") from None
        raise


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
