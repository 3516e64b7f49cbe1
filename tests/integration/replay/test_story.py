"""docs/replay.md, followed to the letter, with readers who never stop reading."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

PAGE = (Path(__file__).parents[3] / "docs/replay.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """The code blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path, postgres_url: str) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a block of the page in a folder with the file of the page."""
    (source,) = blocks("python")
    (tmp_path / "shelf.py").write_text(source, encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "TILLROLL_LOG": postgres_url,
        "TILLROLL_STORE": postgres_url,
        "TILLROLL_PROJECTIONS": str(tmp_path),
    }

    def script(text: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-ec", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return script


def units(table: str, sku: str) -> list[int]:
    """What each table in `table` says of `sku`."""
    return [int(found) for found in re.findall(rf"^{sku} +(\d+)$", table, re.MULTILINE)]


def test_the_story(run: Callable[[str], subprocess.CompletedProcess[str]], postgres_url: str) -> None:
    live, mend, fill, switch = blocks("sh")
    told, difference, behind = blocks("text")
    assert units(run(live).stdout, "shoe-42") == [13]

    mended = run(mend)
    assert told.strip() in mended.stderr
    assert units(mended.stdout, "shoe-42") == [13]

    shown = run(fill).stdout
    for line in (*difference.splitlines(), *behind.splitlines()):
        assert line in shown
    assert "sku=shoe-42  units   13    7" in shown
    assert "shoe-43" not in shown

    stop = threading.Event()

    def hammer() -> set[tuple[int, int]]:
        """(rows, units of the shoe) of every reading; none may fail."""
        seen = set()
        with psycopg.connect(postgres_url, autocommit=True) as reader:
            while not stop.is_set():
                row = reader.execute(
                    "select count(*), max(units) filter (where sku = 'shoe-42') from shelf"
                ).fetchone()
                assert row is not None
                seen.add((int(row[0]), int(row[1])))
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(hammer) for _ in range(3)]
        try:
            out = run(switch).stdout
        finally:
            stop.set()
        seen = set().union(*(reader.result() for reader in readers))
    assert units(out, "shoe-42") == [7, 13]
    assert seen == {(2, 13), (2, 7)}
    assert [line.split()[5] for line in out.splitlines() if "shelf" in line and "@" in line] == [
        "retire",
        "promote",
        "rollback",
        "promote",
    ]
