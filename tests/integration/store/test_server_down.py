"""PostgreSQL goes away: one line per failure, and nothing else on stderr."""

import os
import subprocess
import sys
from pathlib import Path

USED = """
import os, signal, sys, time
from pathlib import Path
from tillroll import database
from tillroll.errors import TillrollError
from tillroll.store.embedded import embedded_postgres

database.CONNECT_SECONDS = 1.0
data = Path(sys.argv[1])
store = database.Database(embedded_postgres(data))
with store.connection() as connection:
    connection.execute("select 1")
os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
time.sleep(1)  # the sessions notice by themselves
for _ in range(3):
    try:
        with store.connection() as connection:
            connection.execute("select 1")
    except TillrollError as error:
        print(error, file=sys.stderr)
try:
    store.connect()
except TillrollError as error:
    print(error, file=sys.stderr)
store.close()
"""


def test_each_failure_is_one_line_of_ours(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", USED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = done.stderr.splitlines()
    assert len(told) == 4, done.stderr
    assert all(line.startswith("the store at ") for line in told), done.stderr
    assert "does not answer: Connection refused; is it running?" in told[-1]
