"""A new projection: the file, its test, and how to run it."""

import keyword
import os
import re
import sys
from collections.abc import Collection
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template

from tillroll.cli.checkout import find_checkout
from tillroll.errors import TillrollError, UsageError

__all__ = ["class_name", "new_projection"]

LONGEST_NAME = 50  # PostgreSQL cuts names at 63 bytes; tables add to it
RESERVED = {"admission", "conftest"}


def new_projection(
    name: str, taken: Collection[str], into: Path | None = None
) -> tuple[list[Path], list[str]]:
    """Write the files of the projection `name`; returns them and the commands to go on with.

    into: the folder; None = the projections of the checkout around the current folder, or that folder itself.
    Raises UsageError for a name that cannot be, or that is `taken`, TillrollError when a file is there already.
    """
    _check(name, taken)
    checkout = find_checkout() if into is None else None
    folder = Path(os.path.relpath(checkout)) if checkout else into or Path()
    code = folder / "projections/tillroll/projections" if checkout else folder
    tests = folder / "tests/unit/projections" if checkout else folder
    imports = _imports(name, "tillroll.projections." if checkout else "")
    values = {"name": name, "Name": class_name(name), "imports": imports, "named": _named(name)}
    texts = {
        code / f"{name}.py": _template("projection").substitute(values),
        tests / f"test_{name}.py": _template("test").substitute(values),
    }
    _write(texts)
    return list(texts), _steps(name, tests / f"test_{name}.py", None if checkout else folder)


def class_name(name: str) -> str:
    """``returns_by_reason`` as ``ReturnsByReason``."""
    return "".join(part.capitalize() for part in name.split("_"))


def _check(name: str, taken: Collection[str]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"{name!r} cannot name a projection: use snake case, such as returns_by_reason, {LONGEST_NAME} letters at most"
        )
    if keyword.iskeyword(name) or name.startswith("test_") or name in RESERVED:
        raise UsageError(f"{name!r} cannot name a projection: it means something else as a file")
    if name.startswith("pg_"):
        raise UsageError(f"{name!r} cannot name a projection: PostgreSQL keeps names with pg_ to itself")
    if _is_module(name):
        raise UsageError(
            f"{name!r} cannot name a projection: a module of Python or of an installed package is called so"
        )
    if name in taken:
        raise UsageError(f"there is a projection or a view {name} already; choose another name")


def _is_module(name: str) -> bool:
    """Whether `import name` finds something, other than in the current folder: the new file would hide it."""
    elsewhere = [place for place in sys.path if Path(place).resolve() != Path.cwd()]
    return name in sys.stdlib_module_names or PathFinder.find_spec(name, elsewhere) is not None


def _named(name: str) -> str:
    """The line that names the projection, where its class alone would name it differently."""
    derived = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name(name)).lower()
    return "" if derived == name else f'\n    name = "{name}"\n'


def _imports(name: str, package: str) -> str:
    """The imports of the test, sorted as linters want them: one's own modules apart and last."""
    own = f"from {package}{name} import {class_name(name)}"
    ours = [
        "from tillroll.events import StockReceived",
        "from tillroll.testing import event, given",
        "from tillroll.testing.order_free import assert_order_free",
    ]
    return "\n".join(sorted([*ours, own]) if package else [*ours, "", own])


def _template(which: str) -> Template:
    return Template(
        files("tillroll.cli").joinpath("templates", f"{which}.py.txt").read_text(encoding="utf-8")
    )


def _write(texts: dict[Path, str]) -> None:
    for path in texts:
        if path.exists():
            raise TillrollError(f"{path} is there already and stays as it is; choose another name or folder")
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise TillrollError(f"{path} cannot be written: {error.strerror}") from None


def _steps(name: str, test: Path, folder: Path | None) -> list[str]:
    export = [] if folder is None else [f"export TILLROLL_PROJECTIONS={folder}"]
    return [f"pytest {test}", *export, f"tillroll project {name} --once", f"tillroll query {name}"]
