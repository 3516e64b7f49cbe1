"""Which projections there are: every module of `tillroll.projections`, and files of further folders."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from tillroll.errors import DeclarationError, UsageError
from tillroll.projection.code import remember
from tillroll.projection.declare import Projection

__all__ = ["find_projections", "load_file", "load_projections", "view_names"]

PACKAGE = "tillroll.projections"


def load_projections(folders: Iterable[Path] = ()) -> dict[str, type[Projection]]:
    """Every projection by name.

    Raises DeclarationError when two share a name or a view, or a file cannot be imported.
    """
    found: dict[str, type[Projection]] = {}
    for module in (*_package(), *_files(folders)):
        for projection in _declared_in(module):
            other = found.setdefault(projection.name, projection)
            if other is not projection:
                raise DeclarationError(
                    f"two projections are called {projection.name}: in {other.__module__} and {module.__name__}; "
                    "rename one (class name, or `name = ...`)"
                )
    _refuse_shared_views(found.values())
    return found


def view_names(projection: type[Projection]) -> tuple[str, ...]:
    """The names under which readers see the projection: of its tables, and of its further views."""
    return (*(table.view for table in projection.tables), *projection.views)


def find_projections(names: Iterable[str], folders: Iterable[Path] = ()) -> list[type[Projection]]:
    """The projections of these names, all when none is given. Raises UsageError on an unknown name."""
    known = load_projections(folders)
    wanted = list(names) or sorted(known)
    for name in wanted:
        if name not in known:
            raise UsageError(f"there is no projection {name!r}; there are {', '.join(sorted(known))}")
    return [known[name] for name in wanted]


def load_file(file: Path, name: str) -> type[Projection]:
    """The projection called `name` that `file` declares, or the only one in it, whatever it is called.

    Raises UsageError where there is no such file or no such projection, DeclarationError where it cannot be imported.
    """
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file; check the path")
    if file.suffix != ".py":
        raise UsageError(f"{file} is no Python file; a projection is declared in one that ends in .py")
    found = {projection.name: projection for projection in _declared_in(_imported(file))}
    if name in found:
        return found[name]
    if len(found) != 1:
        told = f"but {', '.join(sorted(found))}" if found else "and no other"
        raise UsageError(f"{file} declares no projection {name!r}, {told}")
    return next(iter(found.values()))


def _refuse_shared_views(projections: Iterable[type[Projection]]) -> None:
    """Readers' views share one schema: whichever projection is installed later would fail there."""
    owners: dict[str, type[Projection]] = {}
    for projection in projections:
        for view in view_names(projection):
            other = owners.setdefault(view, projection)
            if other is not projection:
                raise DeclarationError(
                    f"the projections {other.name} (in {other.__module__}) and {projection.name} (in "
                    f"{projection.__module__}) both have a view {view}; rename one of them"
                )


def _package() -> Iterator[ModuleType]:
    package = importlib.import_module(PACKAGE)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        yield importlib.import_module(f"{PACKAGE}.{info.name}")


def _files(folders: Iterable[Path]) -> Iterator[ModuleType]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"the projections folder {folder} is not there")
        for file in sorted(folder.glob("*.py")):
            if not file.name.startswith(("test_", "_", "conftest")):
                yield _imported(file)


def _imported(file: Path) -> ModuleType:
    name = f"tillroll_projections_of_{file.parent.name}.{file.stem}".replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickling and dataclasses look modules up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DeclarationError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _declared_in(module: ModuleType) -> Iterator[type[Projection]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Projection) and value.__module__ == module.__name__:
            remember(value)
            yield value
