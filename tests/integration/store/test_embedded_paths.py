"""Data directories with odd paths: the embedded server lives in them, or says which letter is in its way."""

import subprocess
import sys
from pathlib import Path

import pytest

from tillroll.errors import ConfigurationError
from tillroll.store.embedded import embedded_postgres

ANSWERS = """
import sys
from pathlib import Path
from tillroll.database import Database
from tillroll.store.embedded import embedded_postgres
for _ in range(2):
    with Database(embedded_postgres(Path(sys.argv[1]))).connect() as connection:
        print(connection.execute("select 'up'").fetchone()[0])
"""


@pytest.mark.parametrize("name", ["my data", "it's", "100%", "a;b&c#d?e", "Läden (2)", "d" * 120])
def test_a_path_may_be_odd(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", ANSWERS, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("up\nup\n", "")
    assert not (tmp_path / name / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("letter", ['"', "$", "`", "\\"])
def test_a_path_that_no_shell_can_be_given_is_refused_by_its_letter(tmp_path: Path, letter: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        embedded_postgres(tmp_path / f"a{letter}b")
    assert f"its path has {letter}; name another directory with --data" in str(refused.value)
    assert list(tmp_path.iterdir()) == []
