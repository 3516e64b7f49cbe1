"""Contenders in processes of their own, interleaved over the runs; a failure is a result too."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["Contender", "Failed", "Running", "Scenario", "as_json", "measure", "play"]

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENTS = REPOSITORY / ".venv-peers"
LONGEST = 900.0  # seconds; whoever takes longer has failed


class Failed(Exception):
    """A contender did not give a result; the reason in one line."""


@dataclass(frozen=True)
class Contender:
    """Who: a module of bench.contenders and its job; `environment`: one of its own (bench/peers/<name>.txt), if any.

    store: URL of the database to copy for each run; "" for an empty one, None for contenders that need none.
    """

    name: str
    module: str
    job: dict[str, Any] = field(default_factory=dict)
    store: str | None = ""
    environment: str | None = None


@dataclass
class Scenario:
    """A contender on a history, with a check that its rows are right; runs fill up, or `problem` says why not.

    check: (store URL, answer) to yes, no, or None where there are no rows. units: answer to what a rate counts.
    most: rounds at most, for those who take half a minute.
    """

    contender: Contender
    check: Callable[[str, dict[str, Any]], bool | None] = lambda store, answer: None
    units: Callable[[dict[str, Any]], float] = lambda answer: float(answer["events"])
    most: int = 1_000
    runs: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""


def measure(contender: Contender, store: str = "") -> dict[str, Any]:
    """The answer of one run: events, seconds, cpu, peak, and what else the contender tells. Raises Failed."""
    try:
        done = subprocess.run(
            _command(contender, store),
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
            timeout=LONGEST,
            env=_variables(),
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {LONGEST:.0f} s") from None
    return _answer(done.returncode, done.stdout, done.stderr)


class Running:
    """A contender that goes on until it is told to `finish` by the end of its stdin. A context manager."""

    def __init__(self, contender: Contender, store: str):
        self._process = subprocess.Popen(
            _command(contender, store),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=_variables(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, which it should not."""
        return self._process.poll() is not None

    def finish(self) -> dict[str, Any]:
        """Its answer. Raises Failed."""
        try:
            out, errors = self._process.communicate("", timeout=60)
        except subprocess.TimeoutExpired:
            raise Failed("does not end") from None
        return _answer(self._process.returncode, out, errors)


def play(
    scenarios: Sequence[Scenario],
    runs: int,
    database: Callable[[str | None], str],
    drop: Callable[[str], None],
    warm: bool = True,
) -> None:
    """`runs` rounds of everybody after one that does not count (`warm`); each on a fresh database."""
    for round_ in range(-1 if warm else 0, runs):
        for scenario in scenarios:
            if scenario.problem or round_ >= scenario.most:
                continue
            try:
                answer = _once(scenario, database, drop)
            except Failed as error:
                scenario.problem = str(error)
                _tell(f"  {scenario.contender.name}: {error}")
                continue
            if round_ >= 0:
                scenario.runs.append(answer)
            rate = answer["units"] / answer["seconds"]
            _tell(f"  {scenario.contender.name}: {rate:,.0f}/s{'' if round_ >= 0 else ' (warm-up)'}")


def as_json(scenario: Scenario) -> dict[str, Any]:
    """What is kept of a scenario."""
    return {"name": scenario.contender.name, "problem": scenario.problem, "runs": scenario.runs}


def _once(
    scenario: Scenario, database: Callable[[str | None], str], drop: Callable[[str], None]
) -> dict[str, Any]:
    contender = scenario.contender
    store = database(contender.store or None) if contender.store is not None else ""
    try:
        answer = measure(contender, store)
        kept: dict[str, Any] = {name: answer[name] for name in ("events", "seconds", "cpu", "peak")}
        kept |= {"units": scenario.units(answer), "right": _checked(scenario, store, answer)}
        return kept | dict(answer.get("more", {}))
    finally:
        if store:
            drop(store)


def _checked(scenario: Scenario, store: str, answer: dict[str, Any]) -> bool | None:
    try:
        return scenario.check(store, answer)
    except Exception as error:  # a table that is not there, say: this contender's failure, not the run's
        raise Failed(f"its rows cannot be checked: {error}".splitlines()[0][:160]) from error


def _command(contender: Contender, store: str) -> list[str]:
    job = json.dumps(contender.job | {"store": store})
    return [_python(contender.environment), "-m", f"bench.contenders.{contender.module}", job]


def _answer(code: int, out: str, errors: str) -> dict[str, Any]:
    if code:
        raise Failed(_reason(errors))
    return dict(json.loads(out.splitlines()[-1]))


def _python(environment: str | None) -> str:
    if environment is None:
        return sys.executable
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        raise Failed(f"not installed (bench/peers/{environment}.txt)")
    return str(python)


def _variables() -> dict[str, str]:
    """Contenders are found in the checkout, whatever environment runs them."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _reason(stderr: str) -> str:
    """The error at the end of a traceback, without this machine's paths; PostgreSQL's go on for some lines after it."""
    lines = [line for line in stderr.strip().splitlines() if line and not line.startswith(" ")]
    errors = [line for line in lines if re.match(r"[A-Za-z][\w.]*[a-z]\w*(:|$)", line)]
    last = [*lines, *errors][-1] if lines else "no output"
    if last.startswith("ModuleNotFoundError"):
        return f"not installed: {last.rpartition(' ')[2]}"
    return last.replace(str(REPOSITORY), "")[:160]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
