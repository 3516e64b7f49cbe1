"""The embedded server's processes keep what they freed for what comes next."""

from pathlib import Path

import pytest

from tillroll.database import Database
from tillroll.heap import keep_freed
from tillroll.store import embedded

READING = "select string_agg(repeat('x', 120), '') from generate_series(1, 20000)"  # 2.4 MB in one value
PAGES = 2_400_000 // 4_096


def faults(pid: int) -> int:
    """Page faults of a process that took no disk (proc(5), stat)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_a_second_reading_asks_for_no_pages_where_the_c_library_is_glibc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    try:
        with Database(embedded.embedded_postgres(tmp_path)).connect() as connection:
            pid = connection.info.backend_pid
            connection.execute(READING)
            if keep_freed():
                before = faults(pid)
                connection.execute(READING)
                assert faults(pid) - before < PAGES / 4
    finally:
        if server := embedded._servers.pop(tmp_path / "postgres", None):
            server.stop()
