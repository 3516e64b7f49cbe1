"""`tillroll schema`: the contract listed, checked and written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tillroll.cli.main import cli
from tillroll.contract.generated import MODELS, PAGE, SCHEMAS

REPOSITORY = Path(__file__).parents[2]
Run = Callable[..., Result]


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["schema", *map(str, args)])
    assert result.exit_code == code, result.stderr
    return result


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What of a checkout the contract is made from, and into."""
    shutil.copytree(REPOSITORY / SCHEMAS, tmp_path / SCHEMAS)
    for folder in ("projections/tillroll/projections", "docs", str(MODELS.parent)):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_event_type_is_listed() -> None:
    rows = {row["record"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["StockReceived"]["topic"] == "stock"
    assert rows["StockReceived"]["doc"]
    assert "OrderPlaced" in run("list").stdout


def test_our_contract_is_sound_and_unchanged_against_itself() -> None:
    told = json.loads(run("check", "--against", REPOSITORY / SCHEMAS, "--json").stdout)
    assert (told["findings"], told["changes"]) == ([], [])


def test_a_breaking_change_is_told_with_the_projections_it_breaks(checkout: Path) -> None:
    """The folder stands for the last release: it had an event type that is gone now."""
    file = checkout / SCHEMAS / "stock/StockReceived.avsc"
    told = json.loads(file.read_text())
    told["fields"].append({"name": "lot", "type": ["null", "string"], "default": None, "doc": "The lot."})
    history = file.parent / "history"
    history.mkdir()
    shutil.copy(file, history / "StockReceived.v1.avsc")
    file.write_text(json.dumps(told))
    run("generate")
    result = run("check", "--against", checkout / SCHEMAS, code=1)
    assert "StockReceived" in result.stdout
    assert "store_availability" in result.stdout


def test_generated_files_are_written_once_and_then_in_step(checkout: Path) -> None:
    out_of_step = run("generate", "--check", code=1).stdout
    assert str(MODELS) in out_of_step
    assert str(PAGE) in out_of_step
    assert not (checkout / MODELS).exists()
    assert f"{MODELS} written" in run("generate").stdout
    assert run("generate", "--check").stdout == "in step with the schemas\n"
    assert run("generate").stdout == "in step with the schemas\n"
    (checkout / PAGE).write_text("edited by hand")
    run("docs", "--check", code=1)
    assert f"{PAGE} written" in run("docs").stdout
    run("docs", "--check")
    assert (checkout / PAGE).read_text() == (REPOSITORY / PAGE).read_text()


@pytest.mark.parametrize("command", ["generate", "docs"])
def test_outside_of_a_checkout_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "checkout" in run(command, code=2).stderr
