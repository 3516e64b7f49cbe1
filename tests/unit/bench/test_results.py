"""What a run tells: tables, targets, plots, and the page they go into."""

import json
import subprocess
import xml.etree.ElementTree as Xml
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bench import docs, keeping, report, targets
from bench.machine import commit
from bench.measuring import Contender, Failed, Scenario, _checked, _reason, measure, play
from bench.plot import Bar, bars, lines
from bench.sections.latency import WARM_SECONDS, _told, waits
from bench.targets import ADMISSION, CONSUME, KAFKA, LOOP, POSTGRES, Target


def run(rate: float, right: bool | None = True) -> dict[str, Any]:
    return {"events": 100, "units": 100, "seconds": 100 / rate, "cpu": 1.0, "peak": 2**20, "right": right}


def scenario(name: str, *rates: float, problem: str = "", right: bool | None = True) -> dict[str, Any]:
    return {"name": name, "problem": problem, "runs": [run(rate, right) for rate in rates]}


def section(name: str, *scenarios: dict[str, Any]) -> dict[str, Any]:
    kept = list(scenarios)
    return {"name": name, "title": name, "unit": "events", "events": 100, "scenarios": kept, "rows": []}


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {name}"))


def test_the_median_is_told_with_its_spread_and_its_ratio_to_the_first() -> None:
    told = report.table(section("flat", scenario("a", 10, 20, 60), scenario("b", 4_000)))
    assert line_of(told, "a").startswith("| a | 100 | 3 | 20 | 10 - 60 | 1.0 |")
    assert line_of(told, "b").startswith("| b | 100 | 1 | 4,000 | 4,000 - 4,000 | 200 |")


def test_a_contender_that_failed_keeps_its_line_and_says_why() -> None:
    told = report.table(section("flat", scenario("a", 10), scenario("b", problem="not installed: 'x'")))
    assert "not installed: 'x'" in line_of(told, "b")


def test_one_run_with_wrong_rows_is_told() -> None:
    wrong = scenario("a", 10, 20)
    wrong["runs"][1]["right"] = False
    assert line_of(report.table(section("flat", wrong)), "a").endswith("| NO |")


def test_a_target_is_met_missed_or_not_measured() -> None:
    results = {
        "sections": [section("flat", scenario(LOOP, 10), scenario(KAFKA, 1_500), scenario(CONSUME, 2_000))]
    }
    told = targets.table(results)
    assert "| 150 | met |" in line_of(told, "rebuild, flat, Kafka, against the loop")
    assert "| 0.75 | **missed** |" in line_of(told, "... against librdkafka")
    assert "not measured" in line_of(told, "... against Quix Streams")
    kept = targets.table(results, unmeasured=False)
    assert [line for line in told.splitlines() if "not measured" not in line] == kept.splitlines()
    assert line_of(kept, "... against librdkafka") == line_of(told, "... against librdkafka")


def test_no_target_is_met_with_wrong_rows() -> None:
    results = {"sections": [section("flat", scenario(LOOP, 10), scenario(KAFKA, 1_500, right=False))]}
    assert line_of(targets.table(results), "rebuild, flat, Kafka, against the loop").endswith(
        "| **missed** |"
    )


def test_memory_is_that_of_all_processes_of_ours() -> None:
    replays, peers = scenario("explain of one key, Kafka", 10), scenario("spark", 10)
    replays["runs"][0]["peak"], peers["runs"][0]["peak"] = 3 << 29, 9 << 30
    results = {"sections": [section("replay", replays), section("flat", peers, scenario(KAFKA, 10))]}
    assert "| 1.50 | **missed** |" in line_of(targets.table(results), "memory")


def test_who_fails_the_check_fails_alone() -> None:
    def check(store: str, answer: dict[str, Any]) -> bool:
        raise LookupError("no such table")

    with pytest.raises(Failed, match="cannot be checked: no such table"):
        _checked(Scenario(Contender("x", "admission"), check), "", {})


def test_the_line_in_the_readme_is_that_of_the_results() -> None:
    results: dict[str, Any] = {
        "machine": {"cores": 2},
        "sections": [
            section(
                "flat",
                scenario(LOOP, 2_000),
                scenario(KAFKA, 600_400),
                scenario(POSTGRES, 7e5),
                scenario(ADMISSION, 3e5),
            )
        ],
    }
    told = docs.headline(results) or ""
    assert "600,000 events a second" in told
    assert "300 times" in told
    assert "700,000" in told
    results["sections"][0]["scenarios"].pop()
    assert docs.headline(results) is None


def test_the_readme_has_the_line_of_the_results_that_are_kept() -> None:
    kept = json.loads((Path(docs.DOCS).parent / "bench" / "results" / "quick.json").read_text())
    readme = (Path(docs.DOCS).parent / "README.md").read_text()
    assert docs.between(readme, docs.headline(kept) or "", "headline") == readme


def test_the_first_plot_shows_who_does_the_same_with_the_same_events() -> None:
    flat = section("flat", scenario(LOOP, 10), scenario(KAFKA, 20), scenario(CONSUME, 30))
    (drawn,) = [svg for name, svg in docs.plots({"sections": [flat]}) if name == "rebuild"]
    assert LOOP in drawn
    assert KAFKA in drawn
    assert CONSUME not in drawn


def test_a_share_of_too_few_events_is_not_told() -> None:
    sent = pl.DataFrame(
        {"partition": [0] * 200, "offset": range(200), "due": [10.0] * 200, "durable": [10.0] * 200}
    )
    seen = pl.DataFrame({"partition": [0], "next_offset": [200], "seen": [10.5]})
    told = _told(
        sent.with_columns(due=pl.col("due") + WARM_SECONDS * (pl.col("offset") > 0)),
        seen.with_columns(pl.col("seen") + WARM_SECONDS),
        {"events": 200, "seconds": 1.0},
        {"cpu": 1.0, "peak": 1 << 20},
    )
    assert (told["p50"], told["p99"], told["p99.9"]) == (500.0, 500.0, None)


def test_results_and_pages_that_a_run_writes_are_no_change_of_the_commit(tmp_path: Path) -> None:
    def git(*asked: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *asked],
            check=True,
            capture_output=True,
        )

    (tmp_path / "bench" / "results").mkdir(parents=True)
    for name in ("code.py", "README.md", "bench/results/quick.json"):
        (tmp_path / name).write_text("before")
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    (tmp_path / "README.md").write_text("after")
    (tmp_path / "bench" / "results" / "quick.json").write_text("after")
    clean = commit(tmp_path)
    assert len(clean) == 10
    (tmp_path / "code.py").write_text("after")
    assert commit(tmp_path) == f"{clean}+"


def test_a_bound_holds_at_its_very_value() -> None:
    assert Target("x", lambda results: 0.0, least=2).met(2)
    assert not Target("x", lambda results: 0.0, most=2).met(2.01)


def test_growth_is_the_worse_of_the_two_logs() -> None:
    def growing(log: str, last: float) -> dict[str, Any]:
        named = [("100,000", 90.0), ("1,000,000", 100.0), ("50,000,000", last)]
        found = [scenario(f"tillroll, {size} events", rate) for size, rate in named]
        return section(f"growth on {log}", *found)

    results = {"sections": [growing("Kafka", 80), growing("PostgresLog", 50)]}
    assert "| 2.00 | **missed** |" in line_of(targets.table(results), "cost per event")


def test_an_event_is_visible_when_its_partition_stands_beyond_it() -> None:
    sent = pl.DataFrame({"partition": [0, 0, 1, 1], "offset": [0, 1, 0, 1], "due": [1.0, 2.0, 3.0, 4.0]})
    seen = pl.DataFrame({"partition": [0, 0, 1], "next_offset": [1, 2, 1], "seen": [1.5, 2.25, 9.0]})
    assert sorted(waits(sent, seen, 0.0).to_list(), key=str) == [250.0, 500.0, 6000.0, None]
    assert waits(sent, seen, 2.5).to_list() == [6000.0, None]


def test_plots_are_well_formed_and_name_what_they_show() -> None:
    drawn = bars("Rates & ratios", [Bar("a < b", 10, 9, 12, True), Bar("c", 10_000, 9_000, 11_000, False)])
    texts = [found.text for found in Xml.fromstring(drawn).iter() if found.text and found.text.strip()]
    assert {"Rates & ratios", "a < b", "c", "10,000"} <= set(texts)
    Xml.fromstring(lines("Growth", {"Kafka": [(1e5, 10.0), (1e6, 11.0)], "other": [(1e5, 1.0)]}, "events"))


def test_the_page_changes_between_its_markers_only() -> None:
    (a, b), (c, d) = [
        (docs.BEGIN.format(sizes=sizes), docs.END.format(sizes=sizes)) for sizes in ("quick", "full")
    ]
    page = f"before\n{a}\nold\n{b}\nbetween\n{c}\nold\n{d}\nafter\n"
    assert docs.between(page, "new", "full") == f"before\n{a}\nold\n{b}\nbetween\n{c}\n\nnew\n\n{d}\nafter\n"
    with pytest.raises(ValueError, match="markers"):
        docs.between(page, "new", "smoke")


def test_the_page_of_the_project_has_its_markers() -> None:
    page = (Path(docs.DOCS) / "performance.md").read_text()
    for sizes in docs.SHOWN:
        assert "\n\nnew\n\n" in docs.between(page, "new", sizes)


def test_a_contender_that_ends_in_an_error_fails_with_its_last_line() -> None:
    with pytest.raises(Failed, match="KeyError"):
        measure(Contender("x", "admission", {}))


def test_the_reason_of_a_failure_is_the_error_and_not_what_it_goes_on_to_show() -> None:
    shown = "Traceback ...\n  File x\npsycopg.errors.UndefinedTable: no table\nLINE 1: select\n        ^\nHINT: none"
    assert _reason(shown) == "psycopg.errors.UndefinedTable: no table"
    assert _reason("ModuleNotFoundError: No module named 'quixstreams'") == "not installed: 'quixstreams'"
    assert _reason("") == "no output"


def test_a_contender_without_its_environment_is_not_installed() -> None:
    with pytest.raises(Failed, match="not installed"):
        measure(Contender("x", "quix", {}, environment="nobody"))


def test_who_fails_once_is_not_tried_again_and_the_others_go_on() -> None:
    databases: list[str | None] = []

    def database(template: str | None) -> str:
        databases.append(template)
        return "bench"

    failing = Scenario(Contender("x", "admission", {}))
    play([failing], 3, database, lambda url: None)
    assert failing.problem
    assert len(databases) == 1


ORDER = ["flat", "writing", "growth"]


def measured(*groups: str, commit: str = "a", **place: str) -> dict[str, Any]:
    found = [section(name) | {"group": name, "at": f"day {commit}", "commit": commit} for name in groups]
    return {"sizes": "quick", "machine": {"cores": 2} | place, "sections": found}


def test_what_is_measured_anew_takes_the_place_of_what_was_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "results" / "quick.json"
    keeping.keep(measured("flat", "growth"), path, ORDER)
    together = keeping.keep(measured("growth", "writing", commit="b"), path, ORDER)
    assert [(one["group"], one["commit"]) for one in together["sections"]] == [
        ("flat", "a"), ("writing", "b"), ("growth", "b"),
    ]  # fmt: skip
    assert json.loads(path.read_text()) == together
    assert keeping.measured(together) == (
        "flat of commit a, from day a on; writing, growth of commit b, from day b on"
    )


@pytest.mark.parametrize("other", [{"cores": "4"}, {"polars": "3"}])
def test_figures_of_another_machine_or_version_are_not_kept_beside(
    tmp_path: Path, other: dict[str, str]
) -> None:
    keeping.keep(measured("flat"), tmp_path / "quick.json", ORDER)
    together = keeping.keep(measured("growth", **other), tmp_path / "quick.json", ORDER)
    assert [one["group"] for one in together["sections"]] == ["growth"]
