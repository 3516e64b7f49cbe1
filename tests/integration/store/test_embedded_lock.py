"""Users of one machine do not wait for each other, nor stumble over each other's files, to start a server."""

import os
import stat
import subprocess
import sys
from pathlib import Path

LOCKED = """
import os
from tillroll.store import embedded

server = embedded._module().postgres_server.PostgresServer
with server._lock:
    print(os.fsdecode(server._lock.path), server.lock_path)
"""


def locked_by(user: str, temporary: Path) -> Path:
    """The file that a process of `user` locks while it starts a server; a process, as users have them."""
    environment = os.environ | {
        "LOGNAME": user,
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOCKED], env=environment, capture_output=True, text=True, check=True
    )
    used, named = done.stdout.split()
    assert used == named
    return Path(used)


def test_each_user_locks_a_file_of_their_own(tmp_path: Path) -> None:
    anna, ben = locked_by("anna", tmp_path), locked_by("ben", tmp_path)
    assert anna != ben
    assert anna.is_file()
    assert ben.is_file()
    assert stat.S_IMODE(anna.parent.stat().st_mode) == stat.S_IMODE(ben.parent.stat().st_mode) == 0o700


def test_all_processes_of_a_user_lock_the_same_file(tmp_path: Path) -> None:
    assert locked_by("anna", tmp_path) == locked_by("anna", tmp_path)
