"""Whatever is wrong with a file is one line that says what, where and what to do."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from tillroll.errors import TillrollError
from tillroll.services.histories.csv_files import csv_files, read_batches

TEXT = b'a,b,c\n1,x,\n2,"y, z\nw",3\n'


def read(path: Path, *wanted: str) -> pl.DataFrame:
    return pl.concat(list(read_batches(path, wanted or ("a", "b", "c"))))


def made(folder: Path, content: bytes, name: str = "made.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [TEXT, gzip.compress(TEXT, mtime=0), b"\xef\xbb\xbf" + TEXT, TEXT.replace(b"\n", b"\r\n")]
)
def test_plain_gzipped_marked_and_carriage_returned_read_the_same(tmp_path: Path, content: bytes) -> None:
    rows = read(made(tmp_path, content), "a", "c")
    assert rows.rows() == [(1, "1", None), (2, "2", "3")]


def test_what_a_file_is_shows_in_its_bytes_not_in_its_name(tmp_path: Path) -> None:
    assert len(read(made(tmp_path, TEXT, "plain.csv.gz"))) == 2
    assert len(read(made(tmp_path, gzip.compress(TEXT, mtime=0), "packed.csv"))) == 2


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"", mtime=0), b"a,b,c\n", gzip.compress(b"a,b,c", mtime=0)]
)
def test_an_empty_file_has_no_rows(tmp_path: Path, content: bytes) -> None:
    assert list(read_batches(made(tmp_path, content), ("a", "b", "c"))) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(TEXT * 1000, mtime=0)[:-40], "ends in the middle"),
        (gzip.compress(TEXT, mtime=0)[:12], "ends in the middle"),
        (gzip.compress(TEXT, mtime=0)[:12] + b"no deflate at all" * 9, "damaged"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no text"),
        (b"a,b,c\n1,\0,2\n", "no text"),
        (b"a,b\n1,2\n", "header lacks c"),
        (b"a,b,c\n1,2,3\n4,5", "not a whole CSV file"),
        (b"a,b,c\n1,caf\xe9,3\n", "UTF-8"),
        (b"caf\xe9,b,c\n", "UTF-8"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = made(tmp_path, content)
    with pytest.raises(TillrollError, match=told) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_gives_its_files_by_name_and_each_once(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    second, first = made(inner, TEXT, "2.csv"), made(tmp_path, TEXT, "1.CSV.gz")
    made(tmp_path, TEXT, "readme.txt")
    assert csv_files([second, tmp_path, second]) == [first, second]


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TillrollError, match="no such file"):
        csv_files([tmp_path / "gone.csv"])


def test_a_folder_without_csv_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(TillrollError, match="in this folder"):
        csv_files([tmp_path])


def test_a_path_given_twice_through_a_link_is_read_once(tmp_path: Path) -> None:
    path = made(tmp_path, TEXT)
    (tmp_path / "link.csv").symlink_to(path)
    assert len(csv_files([tmp_path])) == 1
