"""Every contender on a small history: the rows are right, or it says why there are none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.ground import Ground
from bench.histories.flat import MANY
from bench.measuring import REPOSITORY, Scenario, play
from bench.sections import Section
from bench.sections.growth import projections
from bench.sections.rebuild import contenders
from bench.sections.replay import replay
from bench.sizes import SMOKE, Sizes
from bench.stage import Stage

from tillroll.testing.broker import missing_tools
from tillroll.testing.kafka import give_up
from tillroll.testing.postgres import passing_directory

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def stage() -> Stage:
    if missing_tools():  # the benchmark starts brokers of its own, with Java
        give_up()
    return Stage(passing_directory())


@pytest.fixture(scope="module")
def found(stage: Stage) -> Iterator[list[Scenario]]:
    with stage.kafka() as kafka:
        ground = Ground(stage, MANY, 1_000, kafka)
        admission = ground.admit()
        scenarios = contenders(ground, SMOKE)
        play(scenarios, 1, stage.database, stage.drop, warm=False)
        yield [*scenarios, admission]
        ground.leave()


def test_rows_are_right_or_the_contender_is_not_installed(found: list[Scenario]) -> None:
    told = {one.contender.name: one.problem or [run["right"] for run in one.runs] for one in found}
    rows = {name: said for name, said in told.items() if not str(said).startswith("not installed")}
    without = {"ceiling: librdkafka into nothing", "tillroll admission, Kafka"}
    assert {name for name, said in rows.items() if said != [True]} <= without


def test_tillroll_is_among_them_on_both_logs(found: list[Scenario]) -> None:
    ran = {one.contender.name for one in found if one.runs}
    assert {"tillroll, Kafka", "tillroll, Kafka, two processes", "tillroll, PostgresLog"} <= ran


def test_wrong_rows_are_found_out(stage: Stage) -> None:
    with stage.kafka() as kafka:
        ground = Ground(stage, MANY, 500, kafka)
        ground.admit()
        scenario = ground.tillroll("tillroll", "stock_levels", kafka=False)
        scenario.check = ground.checked("stock_levels", "stock_levels", ground.loaded.facts.head(400))
        play([scenario], 1, stage.database, stage.drop, warm=False)
    assert [run["right"] for run in scenario.runs] == [False]


@pytest.mark.parametrize("section", [replay, projections])
def test_sections_that_a_change_elsewhere_can_break(
    stage: Stage, section: Callable[[Stage, Sizes], list[Section]]
) -> None:
    """Contenders named by a string, jobs of programs of their own: nothing but running them shows that they run."""
    found = section(stage, SMOKE)
    ran = [
        (each["name"], each["problem"] or [run["right"] for run in each["runs"]])
        for s in found
        for each in s.scenarios
    ]
    assert ran == [(name, [True] * SMOKE.side_runs) for name, _ in ran] != []
    assert [row for s in found for row in s.rows if "milliseconds" not in row] == []


def test_without_java_it_says_what_it_takes(tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "")
    command = [sys.executable, "-m", "bench", "--sizes", "smoke"]
    variables = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=variables, check=False)
    told = done.stderr.splitlines()
    assert (done.returncode, told[0]) == (1, "flat:")
    assert told[1].startswith("make bench: a Kafka broker takes Java 17 and Maven; missing: java")
    assert told[2:] == []
