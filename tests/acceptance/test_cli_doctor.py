"""`tillroll doctor`: what is there, what is not, and what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tillroll import settings
from tillroll.identity import KEY_VARIABLE

Tillroll = Callable[..., Result]


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)}


def test_everything_that_is_needed_is_found(tillroll: Tillroll) -> None:
    found = checks(tillroll("doctor", "--json"))
    assert {check["state"] for check in found.values()} <= {"ok", "warning"}
    assert found["store"]["found"].startswith("PostgreSQL ")
    assert found["log"]["found"].startswith("PostgreSQL ")
    assert "polars" in found["libraries"]["found"]
    assert "store_availability" in found["projections"]["found"]


def test_looking_changes_nothing(tillroll: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (settings.LOG, settings.STORE):
        monkeypatch.delenv(name)
    found = checks(tillroll("doctor", "--json"))
    assert found["store"]["state"] == "ok"
    assert "not made yet" in found["data"]["found"]
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_down_is_broken_and_the_rest_is_looked_at(tillroll: Tillroll) -> None:
    result = tillroll("doctor", "--store", "postgresql://nobody@127.0.0.1:1/x", "--json", code=1)
    found = checks(result)
    assert found["store"]["state"] == "broken"
    assert "does not answer" in found["store"]["found"]
    assert found["log"]["state"] == "ok"


def test_a_projection_that_cannot_be_imported_is_broken_and_named(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import nothing_of_that_name")
    result = tillroll("doctor", "--projections", tmp_path, code=1)
    assert "mine.py cannot be imported" in result.stdout


@pytest.mark.parametrize(("key", "state"), [("", "warning"), ("a:" + "x" * 40, "ok"), ("short", "broken")])
def test_the_identity_key_is_judged_and_never_shown(
    tillroll: Tillroll, monkeypatch: pytest.MonkeyPatch, key: str, state: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    result = tillroll("doctor", "--json", code=int(state == "broken"))
    assert checks(result)["identity key"]["state"] == state
    assert "x" * 40 not in result.stdout
