"""What is declared is used, and what is used is declared, pinned and described in docs/dependencies.md."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
SHIPPED = PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]

# Used without an import: commands that the Makefile runs, and packages that kafka-python picks up when they are there
# (checksums, which in Python cost five times the rest of a read, and the compressions that producers use).
COMMANDS = {
    "import-linter": "$(BIN)/lint-imports",
    "mypy": "$(BIN)/mypy",
    "pytest-xdist": "-m pytest --numprocesses=",
    "ruff": "$(BIN)/ruff",
}
PICKED_UP = {"crc32c", "lz4", "python-snappy", "zstandard"}

# What an extra of a declared library brings as a distribution of its own: psycopg[pool].
BROUGHT_ALONG = {"psycopg-pool"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


RUNTIME = names(PROJECT["project"]["dependencies"])
EXTRAS = {extra: names(wanted) for extra, wanted in PROJECT["project"]["optional-dependencies"].items()}
DECLARED = RUNTIME.union(*EXTRAS.values())

# Peers that are measured in environments of their own.
PEERS = names(
    [
        line
        for listed in (REPOSITORY / "bench" / "peers").glob("*.txt")
        for line in listed.read_text().splitlines()
        if not line.startswith("#")
    ]
)


def imported_modules(path: Path) -> set[str]:
    """Top-level names of what a file imports, imports inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@cache
def providers() -> dict[str, set[str]]:
    """Which distributions an importable name may come from, for all that is installed here."""
    return {module: {normal(name) for name in found} for module, found in packages_distributions().items()}


def providers_of(module: str) -> set[str]:
    """The same for one name. What is not installed (a peer to be measured) goes by the name it is imported by."""
    return providers().get(module) or {normal(module)}


def outside(folders: list[str]) -> dict[str, set[str]]:
    """The outside modules that the Python files below these folders import, each with the files."""
    ours = {"tillroll", "tests", "bench"} | set(sys.stdlib_module_names)
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for module in imported_modules(path) - ours:
                found.setdefault(module, set()).add(str(path.relative_to(REPOSITORY)))
    return found


def undeclared(folders: list[str], declared: set[str]) -> dict[str, set[str]]:
    return {
        module: where
        for module, where in outside(folders).items()
        if not providers_of(module) & (declared | BROUGHT_ALONG)
    }


def test_what_the_package_imports_is_declared_for_those_who_install_it() -> None:
    assert undeclared(SHIPPED, RUNTIME | EXTRAS["tpcds"] | EXTRAS["testing"]) == {}


def test_what_tests_and_benchmarks_import_is_declared() -> None:
    assert undeclared(["tests", "bench"], DECLARED | PEERS) == {}


def test_what_is_declared_is_imported() -> None:
    used = set().union(*(providers_of(module) for module in outside([*SHIPPED, "tests", "bench"])))
    assert DECLARED - used - set(COMMANDS) - PICKED_UP == set()


def test_a_tool_that_nothing_imports_is_run_by_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert [tool for tool, command in COMMANDS.items() if command not in makefile] == []


def test_every_declared_library_is_pinned_to_one_version() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin)] == []
    assert names(pins) >= DECLARED


def test_every_declared_library_has_its_line_in_the_table() -> None:
    table = (REPOSITORY / "docs" / "dependencies.md").read_text()
    described = {normal(name) for name in re.findall(r"^\| \[?`([\w.-]+)`", table, re.MULTILINE)}
    assert described == DECLARED
