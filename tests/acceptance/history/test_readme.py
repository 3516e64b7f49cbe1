"""The commands of README.md do what it says, as they are written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.history.place import Place
from tests.acceptance.history.rows import rows_of

from tillroll.store.embedded import embedded_postgres

CHECKOUT = Path(__file__).parents[3]
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
BLOCKS = [text for language, text in FENCED if not language]

INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom
"""


def commands(*programs: str) -> list[str]:
    """The commands of all blocks that begin with one of these words, without their comments."""
    lines = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
    return [line for line in lines if line.startswith(tuple(f"{program} " for program in programs))]


def run(script: str, folder: Path, **environment: str) -> str:
    """Run lines in a shell that stops at the first failing one; what they print to stdout."""
    shell = subprocess.run(
        ["bash", "-ec", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert shell.returncode == 0, f"{script}\n{shell.stdout}\n{shell.stderr}"
    return shell.stdout


@pytest.fixture(scope="module")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the environment that make would make, the projections, and invoices; its embedded server ends with the run."""
    folder = tmp_path_factory.mktemp("cloned")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "projections").symlink_to(CHECKOUT / "projections")
    (folder / "invoices").mkdir()
    (folder / "invoices" / "first.csv").write_text(INVOICES)
    return folder


@pytest.fixture(scope="module")
def demonstrated(cloned: Path) -> str:
    """What `make demo` prints: the last line of its recipe, in that folder."""
    recipe = run("make --dry-run --no-print-directory demo", CHECKOUT).splitlines()[-1]
    assert recipe.split() == [".venv/bin/tillroll", "demo"]
    return run(recipe, cloned)


def test_every_line_of_a_block_is_run_by_one_of_these_tests() -> None:
    known = commands("tillroll", "make", "export", "rm", ".")
    assert known == [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line]


def test_every_target_of_make_that_is_named_is_one() -> None:
    wanted = {command.split()[1] for command in commands("make")}
    assert {"demo", "test", "kafka"} <= wanted
    recipes = {target: run(f"make --dry-run {target}", CHECKOUT) for target in sorted(wanted)}
    assert "-m pytest" in recipes["test"]
    assert "deploy/kafka/start" in recipes["kafka"]
    assert os.access(CHECKOUT / "deploy" / "kafka" / "start", os.X_OK)


def test_the_demo_shows_every_read_model(demonstrated: str) -> None:
    for name in ("store_availability", "order_status", "customer_history", "channel_sales"):
        assert name in demonstrated
    assert "events/s" in demonstrated


def test_five_minutes_further_works_after_the_demo(cloned: Path, demonstrated: str) -> None:
    (block,) = [block for block in BLOCKS if "activate" in block]
    told = run(block, cloned)
    assert '"sku": "1"' in told
    assert "0 events published, 64,741 were in the log before" in told
    rows = rows_of(embedded_postgres(cloned / ".tillroll"))
    assert {"536365", "C536379"} <= set(rows["customer_history"]["order_id"])


def test_the_new_projection_works_by_the_commands_it_names(cloned: Path, demonstrated: str) -> None:
    """Test included, as docs/add-a-projection.md begins."""
    folder, activate = cloned / "of_its_own", ". ../.venv/bin/activate"
    folder.mkdir()
    printed = run(f"{activate}; tillroll new projection returns_by_reason", folder)
    steps = [line.strip() for line in printed.splitlines() if re.match(r"\s*(pytest|export|tillroll) ", line)]
    assert [step.split()[0] for step in steps] == ["pytest", "export", "tillroll", "tillroll"]
    told = run("\n".join([activate, *steps]), folder, TILLROLL_DATA="../.tillroll")
    assert re.search(r"[1-9]\d* passed", told)


def test_starting_over_leaves_nothing_and_the_next_command_begins_anew(
    cloned: Path, demonstrated: str
) -> None:
    """In a folder of its own, whose server has stopped with its last command; both commands find it so."""
    (block,) = [block for block in BLOCKS if "rm -rf" in block]
    folder, activate = cloned / "over", ". ../.venv/bin/activate\n"
    folder.mkdir()
    project = "tillroll project locations --once; tillroll query locations --json; tillroll status --json"
    event = (
        '{"type": "LocationDescribed", "event_id": "019cf0a2-0000-7000-8000-000000000001", "source": "s", '
        '"channel": "store", "occurred_at": "2026-03-14T12:00:00Z", "location_id": "store-7", "name": "Seven", "kind": "store"}'
    )
    (folder / "one.ndjson").write_text(event + "\n")
    before = run(activate + "tillroll publish one.ndjson\n" + project, folder)
    assert "store-7" in before
    assert not (folder / ".tillroll" / "postgres" / "postmaster.pid").exists()
    run(block, folder)
    assert not (folder / ".tillroll").exists()
    assert "store-7" not in run(activate + project, folder)


@pytest.mark.kafka
def test_the_same_commands_work_on_kafka(cloned: Path, on_kafka: Place) -> None:
    """The broker is the tests' own, on another port, and so is the store."""
    (block,) = [block for block in BLOCKS if "kafka://" in block]
    assert "localhost:9092" in block
    lines = block.replace("kafka://localhost:9092", on_kafka.log_address).replace("make kafka\n", "")
    run(". .venv/bin/activate\n" + lines, cloned, TILLROLL_STORE=on_kafka.store_address)
    assert len(on_kafka.rows()["channel_sales"]) > 5_000
