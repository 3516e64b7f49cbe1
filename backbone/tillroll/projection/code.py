"""The code of a projection: what decides its rows, part by part, so that a version is projected only by its own.

Rows are decided by the declared columns, the handlers, whatever else of the module those refer to, and the
schemas of the events that are read. Texts of views and derived columns decide only what readers see of the rows.
Compared are syntax trees without docstrings and positions: comments and formatting may change freely.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tillroll.contract.registry import Contract, load_contract
from tillroll.errors import DeclarationError
from tillroll.projection.declare import Projection, Table
from tillroll.projection.recording import recorded_module, source_kept
from tillroll.projection.syntax import definitions, module_text, modules_of, names, told

__all__ = ["Code", "changes", "code_of", "recorded", "remember"]


@dataclass(frozen=True, slots=True)
class Code:
    """What decides a version. rows, views: hash by part, named in plain words.

    source: text of the declaring module; beside: texts of other modules of the author's that it imports, by name.
    """

    rows: Mapping[str, str]
    views: Mapping[str, str]
    source: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(told["rows"], told["views"], told["source"], told.get("beside", {}))

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        rows, views, beside = (dict(each) for each in (self.rows, self.views, self.beside))
        return {"rows": rows, "views": views, "source": self.source, "beside": beside}

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
    """The code of `projection` as it was loaded. Raises DeclarationError where its source cannot be found."""
    source, beside = _sources_of(projection)
    rows = dict(_columns(projection)) | dict(_schemas(projection, contract or load_contract()))
    rows |= {part: _hash(text) for part, text in _Reader(projection, source, beside).parts().items()}
    return Code(rows, dict(_views(projection)), source, beside)


def recorded(name: str, version: int, code: Code) -> type[Projection]:
    """The projection `name` as its recorded source declares it, under `version`.

    Events come to it in today's schemas, whatever they were when it was recorded. Raises DeclarationError where
    the source cannot be run any more, or does not give what was recorded.
    """
    where = f"version {version} of {name} cannot be projected by the code it was filled by"
    try:
        module = recorded_module(f"{name}_v{version}", code.source, code.beside)
    except Exception as error:
        raise DeclarationError(f"{where}: {type(error).__name__}: {error}") from error
    declared = (v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Projection))
    mine = [each for each in declared if each.name == name and each.__module__ == module.__name__]
    if not mine:
        raise DeclarationError(f"{where}: it declares no projection {name}")
    if lost := changes(_declared(code.rows), dict(_columns(mine[0]))):
        raise DeclarationError(f"{where}: it no longer gives what was recorded: {'; '.join(lost)}")
    return mine[0].numbered(version)


def _declared(rows: Mapping[str, str]) -> dict[str, str]:
    """Keys and columns. Of code the text itself is recorded, and schemas are today's."""
    return {part: value for part, value in rows.items() if part.startswith(("key of table ", "column "))}


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

    def __init__(self, projection: type[Projection], source: str, beside: Mapping[str, str]):
        self._projection, self._beside = projection, beside
        tree = ast.parse(source)
        self._class = _class_in(tree, projection)
        self._known = definitions(tree.body)
        self._parts: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        """Text of the syntax tree of each part."""
        wanted: list[ast.AST] = [*self._class.bases, *self._class.keywords, *self._class.decorator_list]
        for part, nodes in self._of_class_body().items():
            self._parts[part] = "".join(map(told, nodes))
            wanted += nodes
        for node in [*wanted, *self._known.get("*", ())]:
            self._note_modules(node)
        self._follow(wanted)
        return self._parts

    def _of_class_body(self) -> dict[str, list[ast.stmt]]:
        """What in the class decides rows; columns are told as values, views apart."""
        handlers = {name for names in self._projection.handlers.values() for name in names}
        found: dict[str, list[ast.stmt]] = {}
        for name, nodes in definitions(filter(_decides, self._class.body)).items():
            kept = getattr(self._projection, name, None)
            if name not in _NO_ROWS and not (isinstance(kept, type) and issubclass(kept, Table)):
                kind = "method" if isinstance(nodes[0], _FUNCTIONS) else "attribute"
                found[f"{'handler' if name in handlers else kind} {name}"] = nodes
        return found

    def _follow(self, nodes: Iterable[ast.AST]) -> None:
        """Definitions of the module that `nodes` use, and those that these use, each once."""
        todo, seen = [name for node in nodes for name in names(node)], set[str]()
        while todo:
            name = todo.pop()
            if name in seen or name not in self._known:
                continue
            seen.add(name)
            makers = self._known[name]
            for node in makers:
                self._note_modules(node)
            makers = [node for node in makers if not isinstance(node, ast.Import | ast.ImportFrom)]
            if makers:
                kind = _KINDS.get(type(makers[0]), "constant")
                self._parts[f"{kind} {name}"] = "".join(map(told, makers))
            todo += [used for node in makers for used in names(node)]

    def _note_modules(self, node: ast.AST) -> None:
        for name, text in modules_of(node, self._beside.get).items():
            self._parts[f"module {name}"] = told(ast.parse(text))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_KINDS: Mapping[type, str] = {**dict.fromkeys(_FUNCTIONS, "function"), ast.ClassDef: "class"}
_NO_ROWS = {"name", "version", "views", "__doc__"}


def _decides(node: ast.stmt) -> bool:
    """Whether a statement of the class may decide rows: neither a column nor a derived one, nor a docstring."""
    if isinstance(node, ast.AnnAssign):
        value = node.value
        derived = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("derived")
        return value is not None and not derived
    return True


# --- source ---------------------------------------------------------------------------------------------


# Kept with a class: its module's text; and together with it, those of others beside it.
_TEXT, _TEXTS = "_tillroll_text", "_tillroll_texts"


def remember(projection: type[Projection]) -> None:
    """Keep the text that `projection` was made from a moment ago.

    A process that runs for days goes on by the class that it has loaded, whatever the file says by then.
    """
    setattr(projection, _TEXT, _read(projection))


def _sources_of(projection: type[Projection]) -> tuple[str, Mapping[str, str]]:
    """The text of the declaring module, and of those of the author's that it imports, as they were when first asked for."""
    kept = source_kept(sys.modules[projection.__module__])
    if kept is not None:
        return kept
    declared = _declaration(projection)
    if _TEXTS not in declared.__dict__:
        text = declared.__dict__.get(_TEXT) or _read(declared)
        setattr(declared, _TEXTS, (text, modules_of(ast.parse(text), module_text)))
    found: tuple[str, Mapping[str, str]] = declared.__dict__[_TEXTS]
    return found


def _declaration(projection: type[Projection]) -> type[Projection]:
    """The class that was written; `projection` may be a version of it under another number."""
    return [
        each
        for each in projection.__mro__
        if (each.__module__, each.__qualname__) == (projection.__module__, projection.__qualname__)
    ][-1]


def _read(projection: type[Projection]) -> str:
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
