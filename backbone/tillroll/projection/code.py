"""The code of a projection: what decides its rows, part by part, so that a version is projected only by its own.

Rows are decided by the declared columns, the handlers, whatever else of the module those refer to, and the
schemas of the events that are read. Texts of views and derived columns decide only what readers see of the rows.
Compared are syntax trees without docstrings and positions: comments and formatting may change freely.
"""

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from tillroll.contract.registry import Contract, load_contract
from tillroll.errors import DeclarationError
from tillroll.projection.declare import Projection

__all__ = ["Code", "changes", "code_of", "recorded"]

_SOURCE = "__tillroll_source__"
"""Where a module that was made from recorded source keeps it; there is no file to read it from."""


@dataclass(frozen=True, slots=True)
class Code:
    """What decides a version. rows, views: hash by part, named in plain words. source: of the declaring module."""

    rows: Mapping[str, str]
    views: Mapping[str, str]
    source: str

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(told["rows"], told["views"], told["source"])

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return {"rows": dict(self.rows), "views": dict(self.views), "source": self.source}

    def same_rows(self, other: "Code") -> bool:
        """Whether both give the same rows."""
        return dict(self.rows) == dict(other.rows)

    def same_views(self, other: "Code") -> bool:
        """Whether both show rows in the same way."""
        return dict(self.views) == dict(other.views)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs, in plain words: ``handler sold changed``."""
    told = [f"{part} added" for part in new if part not in old]
    told += [f"{part} removed" for part in old if part not in new]
    told += [f"{part} changed" for part in new if part in old and old[part] != new[part]]
    return sorted(told)


def code_of(projection: type[Projection], contract: Contract | None = None) -> Code:
    """The code of `projection` as it is now. Raises DeclarationError where its source cannot be found."""
    source = _source_of(projection)
    rows = dict(_columns(projection)) | dict(_schemas(projection, contract or load_contract()))
    rows |= {part: _hash(text) for part, text in _Reader(projection, source).parts()}
    return Code(rows, dict(_views(projection)), source)


def recorded(name: str, version: int, code: Code) -> type[Projection]:
    """The projection `name` as its recorded source declares it, under `version`.

    Raises DeclarationError where the source cannot be run any more, or needs a module that has changed since.
    """
    module = ModuleType(f"tillroll_recorded.{name}_v{version}")
    module.__dict__[_SOURCE] = code.source
    sys.modules[module.__name__] = module  # typing looks a class's module up by name
    where = f"version {version} of {name} cannot be projected by the code it was filled by"
    try:
        exec(compile(code.source, f"<{name} version {version}>", "exec"), module.__dict__)
    except Exception as error:
        raise DeclarationError(f"{where}: {type(error).__name__}: {error}") from error
    declared = (v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Projection))
    mine = [each for each in declared if each.name == name and each.__module__ == module.__name__]
    if not mine:
        raise DeclarationError(f"{where}: it declares no projection {name}")
    if lost := changes(code.rows, code_of(mine[0]).rows):
        raise DeclarationError(f"{where}: {'; '.join(lost)} outside its own module")
    return mine[0].numbered(version)


# --- parts that are values ------------------------------------------------------------------------------


def _columns(projection: type[Projection]) -> Iterator[tuple[str, str]]:
    for table in projection.tables:
        yield (
            f"key of table {table.name}",
            _hash(repr([(n, table.column(n).type.__name__) for n in table.key])),
        )
        for column in table.values:
            told = f"{column.rule.name} {column.type.__name__}"
            yield f"column {table.name}.{column.name}", _hash(told)


def _schemas(projection: type[Projection], contract: Contract) -> Iterator[tuple[str, str]]:
    for record in sorted(projection.records()):
        yield f"schema {record}", contract.latest(record).fingerprint.hex()


def _views(projection: type[Projection]) -> Iterator[tuple[str, str]]:
    for table in projection.tables:
        yield f"view {table.view}", _hash(table.view)
        for expression in table.derived:
            yield f"derived column {table.name}.{expression.name}", _hash(expression.sql)
    for name, text in projection.views.items():
        yield f"view {name}", _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- parts that are code --------------------------------------------------------------------------------


class _Reader:
    """Finds the handlers of a class, and everything of its module that they refer to."""

    def __init__(self, projection: type[Projection], source: str):
        self._projection = projection
        tree = ast.parse(source)
        self._class = _class_in(tree, projection)
        self._known = dict(_definitions(tree.body))

    def parts(self) -> Iterator[tuple[str, str]]:
        """(part, text of its syntax tree)."""
        handlers = {name for names in self._projection.handlers.values() for name in names}
        wanted: list[ast.AST] = [*self._class.bases]
        for node in self._class.body:
            for part, deciding in _of_class_body(node, handlers):
                wanted.append(deciding)
                yield part, _dumped(deciding)
        yield from self._referred(wanted)

    def _referred(self, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
        """Definitions of the module that `nodes` use, and those that these use, each once."""
        todo, seen = [name for node in nodes for name in _names(node)], set[str]()
        while todo:
            name = todo.pop()
            node = self._known.get(name)
            if name in seen or node is None:
                continue
            seen.add(name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from _own_modules(node)
            else:
                yield f"{_KINDS.get(type(node), 'constant')} {name}", _dumped(node)
                todo += _names(node)


_KINDS: Mapping[type, str] = {ast.FunctionDef: "function", ast.ClassDef: "class"}
_NO_ROWS = {"name", "version", "views", "__doc__"}


def _of_class_body(node: ast.stmt, handlers: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """What of a statement in the class decides rows; columns are told as values, views apart."""
    if isinstance(node, ast.FunctionDef):
        yield f"{'handler' if node.name in handlers else 'method'} {node.name}", node
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id not in _NO_ROWS:
                yield f"{'handler' if target.id in handlers else 'attribute'} {target.id}", node
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        derived = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("derived")
        if not derived and node.target.id not in _NO_ROWS:
            yield f"attribute {node.target.id}", node


def _definitions(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((name, node) for target in targets for name in _names(target))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _definitions(
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            )


def _names(node: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def _dumped(node: ast.AST) -> str:
    """The tree without docstrings: they, as comments and places, decide nothing."""
    tree = ast.parse(ast.unparse(node))
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(each) is not None:
            each.body = each.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _own_modules(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Modules of the author's that are imported; tillroll itself and installed libraries are taken as given."""
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    for name in names:
        if name.startswith("tillroll.") and not name.startswith("tillroll.projections."):
            continue
        spec = _spec(name)
        if spec is not None and spec.has_location and not _is_installed(Path(spec.origin)):
            yield f"module {name}", _dumped(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))


def _is_installed(file: Path) -> bool:
    paths = sysconfig.get_paths()
    return any(file.is_relative_to(paths[kind]) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name) if name else None
    except (ImportError, ValueError):
        return None


# --- source ---------------------------------------------------------------------------------------------


def _source_of(projection: type[Projection]) -> str:
    kept = sys.modules[projection.__module__].__dict__.get(_SOURCE)
    if kept is not None:
        return str(kept)
    try:
        return Path(inspect.getsourcefile(projection) or "").read_text(encoding="utf-8")
    except (TypeError, OSError) as error:
        raise DeclarationError(
            f"the source of {projection.__name__} cannot be read, so nobody could tell when it changes: {error}; "
            "declare it in a file"
        ) from error


def _class_in(tree: ast.Module, projection: type[Projection]) -> ast.ClassDef:
    wanted = projection.__qualname__.replace(".<locals>", "")
    for path, node in _classes(tree, ""):
        if path == wanted:
            return node
    raise DeclarationError(f"the source of {projection.__name__} is not in {projection.__module__}")


def _classes(node: ast.AST, path: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        here = path
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            here = f"{path}.{child.name}" if path else child.name
            if isinstance(child, ast.ClassDef):
                yield here, child
        yield from _classes(child, here)
