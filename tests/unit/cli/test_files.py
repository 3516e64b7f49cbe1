"""Reading lines and writing rejects, whatever the file is like."""

import codecs
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tillroll.cli import files
from tillroll.cli.files import lines_of, rejects_file, require_files
from tillroll.errors import TillrollError, UsageError


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("content", [b"a\nb\n", b"a\r\nb\r\n", b"a\nb", gzip.compress(b"a\nb\n", mtime=0)])
def test_lines_are_numbered_and_bare(tmp_path: Path, content: bytes) -> None:
    assert list(lines_of(written(tmp_path / "f", content))) == [(1, b"a"), (2, b"b")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_is_no_part_of_the_first_line(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    mark = codecs.BOM_UTF8
    name = written(tmp_path / "f", pack(mark + b"a\n" + mark + b"b\n"))
    assert list(lines_of(name)) == [(1, b"a"), (2, mark + b"b")]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(lines_of(written(tmp_path / "f", b""))) == []


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 10)
    name = written(tmp_path / "f", b"a\n" + b"x" * 35 + b"\nb\n")
    assert list(lines_of(name)) == [(1, b"a"), (2, None), (3, b"b")]


@pytest.mark.parametrize(
    "content", ["läßt".encode("utf-16"), b"PAR1\0\0\0", gzip.compress(b"\0\1\2", mtime=0)]
)
def test_binary_is_refused_before_any_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TillrollError, match="is no text but binary"):
        list(lines_of(written(tmp_path / "f", content)))


@pytest.mark.parametrize("keep", [12, 30])
def test_a_cut_gzip_file_gives_its_lines_and_then_fails(tmp_path: Path, keep: int) -> None:
    packed = gzip.compress(os.urandom(50).hex().encode() + b"\n")
    with pytest.raises(TillrollError, match="f is cut: it ends in the middle"):
        list(lines_of(written(tmp_path / "f", packed[:keep])))


def test_missing_files_are_named(tmp_path: Path) -> None:
    there = written(tmp_path / "f", b"")
    require_files([there, "-"])
    with pytest.raises(TillrollError, match="gone: there is no such file"):
        require_files([there, str(tmp_path / "gone")])
    with pytest.raises(TillrollError, match="'': there is no such file"):
        require_files([""])


def test_rejects_are_written_only_when_wanted(tmp_path: Path) -> None:
    with rejects_file(None) as stream:
        assert stream is None
    with rejects_file(tmp_path / "rejects") as stream:
        assert stream is not None
        stream.write(b"x")
    assert (tmp_path / "rejects").read_bytes() == b"x"


def test_an_input_is_never_overwritten_by_another_name_either(tmp_path: Path) -> None:
    name = written(tmp_path / "f", b"kept")
    with pytest.raises(UsageError, match="overwrite"), rejects_file(tmp_path / "." / "f", [name]):
        pass
    assert (tmp_path / "f").read_bytes() == b"kept"


def test_a_rejects_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(TillrollError, match="cannot be written"), rejects_file(tmp_path / "no" / "rejects"):
        pass
