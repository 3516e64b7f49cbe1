"""One wheel out of five source roots: what is in it, that an sdist gives the same, that its types are seen."""

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
ROOTS = PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]


def build_wheel(project: Path, into: Path) -> zipfile.ZipFile:
    """The wheel by the build backend itself: no isolated environment, so nothing is fetched."""
    (path,) = WheelBuilder(str(project)).build(directory=str(into), versions=["standard"])
    return zipfile.ZipFile(path)


def sources() -> dict[str, Path]:
    """Every file of the source roots by the path that it must have in the wheel."""
    found = {}
    for root in ROOTS:
        for path in (REPOSITORY / root / "tillroll").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(REPOSITORY / root).as_posix()] = path
    return found


def package_files(wheel: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: wheel.read(name) for name in wheel.namelist() if name.startswith("tillroll/")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))


def test_no_root_makes_the_namespace_its_own() -> None:
    assert [root for root in ROOTS if (REPOSITORY / root / "tillroll" / "__init__.py").exists()] == []


def test_every_source_root_is_named_wherever_roots_are_named() -> None:
    tool = PROJECT["tool"]
    assert {path.parent.name for path in REPOSITORY.glob("*/tillroll")} == set(ROOTS)
    assert tool["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"{root}/tillroll" for root in ROOTS]
    assert tool["mypy"]["mypy_path"].split(":") == ROOTS
    assert tool["pytest"]["ini_options"]["pythonpath"] == [
        ".",
        *ROOTS,
    ]  # and the benchmark, which is no package
    assert set(ROOTS) <= set(tool["mypy"]["files"])
    assert set(ROOTS) <= set(tool["ruff"]["src"])


def test_the_wheel_installs_one_package_and_its_metadata(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    metadata = f"tillroll-{PROJECT['project']['version']}.dist-info"
    assert {name.split("/")[0] for name in names} == {"tillroll", metadata}
    assert len(names) == len(set(names))
    assert f"{metadata}/licenses/LICENSE" in names


def test_the_wheel_holds_every_source_file_where_it_is_imported_from(wheel: zipfile.ZipFile) -> None:
    assert package_files(wheel) == {name: path.read_bytes() for name, path in sources().items()}


@pytest.mark.parametrize("suffix", [".py", ".avsc", ".toml", ".sql"])
def test_the_wheel_carries_schemas_and_sql_beside_the_code(wheel: zipfile.ZipFile, suffix: str) -> None:
    assert any(name.startswith("tillroll/") and name.endswith(suffix) for name in wheel.namelist())


def test_every_part_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    parts = {f"tillroll/{root}/py.typed" for root in ROOTS if root != "backbone"}
    assert parts | {"tillroll/py.typed"} <= set(wheel.namelist())


def test_an_sdist_builds_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    (sdist,) = SdistBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build_wheel(tmp_path / f"tillroll-{PROJECT['project']['version']}", tmp_path / "again")
    assert again.namelist() == wheel.namelist()
    assert package_files(again) == package_files(wheel)


def test_a_type_checker_sees_the_types_of_the_installed_package(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    """Single modules of a namespace are typed by a marker beside them, not by those of the sub-packages."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    (site,) = [*environment.glob("lib/python*/site-packages"), *environment.glob("Lib/site-packages")]
    wheel.extractall(site)
    python = next(path for path in environment.glob("*/python*") if path.stem == "python")
    program = tmp_path / "program.py"
    program.write_text("from tillroll.errors import UsageError\n\nwrong: int = UsageError('')\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", str(python), program.name]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert 'expression has type "UsageError", variable has type "int"' in checked.stdout, checked.stdout
    assert "Found 1 error" in checked.stdout
