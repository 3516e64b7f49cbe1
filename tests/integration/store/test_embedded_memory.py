"""The embedded server's processes keep what they freed for what comes next."""

from pathlib import Path

from tillroll.database import Database
from tillroll.heap import keep_freed
from tillroll.store.embedded import embedded_postgres

READING = "select string_agg(repeat('x', 120), '') from generate_series(1, 20000)"  # 2.4 MB in one value
PAGES = 2_400_000 // 4_096


def faults(pid: int) -> int:
    """Page faults of a process that took no disk (proc(5), stat)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_a_second_reading_asks_for_no_pages_where_the_c_library_is_glibc(tmp_path: Path) -> None:
    with Database(embedded_postgres(tmp_path)).connect() as connection:
        pid = connection.info.backend_pid
        connection.execute(READING)
        if keep_freed():
            before = faults(pid)
            connection.execute(READING)
            assert faults(pid) - before < PAGES / 4
