"""Python source as the code of a projection sees it: which statements make a name, and a text of each of them.

The text leaves out docstrings, comments and places, and is the same under every version of Python: a store
outlives the interpreter that filled it.
"""

import ast
import importlib.util
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["Find", "definitions", "module_text", "modules_of", "names", "told"]

SILENT = {"type_comment", "type_params", "kind"}
"""Fields that decide nothing, and that some versions of Python have and others do not."""

_OWN_NAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def told(node: ast.AST) -> str:
    """The syntax tree of `node` as text; equal for what differs in docstrings, comments and layout only."""
    return repr(_told(node))


def _told(value: object) -> object:
    if isinstance(value, ast.AST):
        fields = ((name, _told(_without_docstring(value, name, v))) for name, v in ast.iter_fields(value))
        return [type(value).__name__, *((n, v) for n, v in fields if n not in SILENT and v not in ([], None))]
    if isinstance(value, list):
        return [_told(each) for each in value]
    return None if value is None else repr(value)


def _without_docstring(node: ast.AST, field: str, value: object) -> object:
    documented = isinstance(node, (*_OWN_NAMES, ast.Module)) and field == "body"
    if documented and isinstance(value, list) and ast.get_docstring(node, clean=False) is not None:  # type: ignore[arg-type]
        return value[1:] or [ast.Pass()]
    return value


def names(node: ast.AST) -> list[str]:
    """Every name that is used in `node`."""
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def definitions(body: Iterable[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """By name, every statement of `body` that makes or may alter it, in order.

    A statement that calls something of `body`, hands a function of it on, or is decorated with either, may alter that and
    whatever such a function uses.
    """
    statements = list(body)
    uses = {node.name: names(node) for node in statements if isinstance(node, _OWN_NAMES)}
    imported = {
        name
        for each in statements
        if isinstance(each, ast.Import | ast.ImportFrom)
        for name in _altered(each)
    }
    found: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        reached = (name for name in _reached(_called(statement), uses) if name not in imported)
        for name in dict.fromkeys([*_altered(statement), *reached]):
            found.setdefault(name, []).append(statement)
    return {name: makers for name, makers in found.items() if any(name in _altered(each) for each in makers)}


def _called(statement: ast.stmt) -> Iterator[str]:
    """Names in what is called when the statement is run, and in what it is called with; what stands in a function is run
    later, if at all.
    """
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        run: list[ast.AST] = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
        yield from (name for each in statement.decorator_list for name in names(each))
    elif isinstance(statement, ast.ClassDef):
        run = [*statement.bases, *statement.keywords]
        yield from (name for each in statement.decorator_list for name in names(each))
        yield from (name for each in statement.body for name in _called(each))
    else:
        run = [statement]
    calls = (node for each in run for node in ast.walk(each) if isinstance(node, ast.Call))
    yield from (name for call in calls for name in names(call))


def _reached(called: Iterable[str], uses: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """These names, what the functions among them use, and those that they use in turn."""
    todo, seen = list(called), set[str]()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            yield name
            todo += uses.get(name, ())


def _altered(node: ast.stmt) -> Iterator[str]:
    """Names that a statement makes or may alter; rather one too many: that costs a rebuild, one too few wrong rows.

    ``M["a"] = 1`` and ``M.update(a=1)`` alter M; a compound statement alters whatever one in it does.
    """
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.Assign():
            yield from (name for target in node.targets for name in names(target))
        case ast.AnnAssign() | ast.AugAssign():
            yield from names(node.target)
        case _:
            yield from _altered_inside(node)


def _altered_inside(node: ast.AST) -> Iterator[str]:
    """As `_altered`, for compound statements and for expressions, which may alter whatever they are about."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _altered(child)
        elif isinstance(child, ast.excepthandler | ast.match_case | ast.withitem):
            yield from _altered_inside(child)
        elif isinstance(node, ast.Expr):
            yield from names(child)
        else:
            stored = (n for n in ast.walk(child) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            yield from (each.id for each in stored)


# --- modules --------------------------------------------------------------------------------------------


Find = Callable[[str], str | None]
"""The text of a module of the author's by its name; None for every other module."""


def modules_of(node: ast.AST, find: Find) -> dict[str, str]:
    """Modules of the author's that are imported anywhere in `node`, and those that these import: text by name."""
    found: dict[str, str] = {}
    todo = [name for each in ast.walk(node) for name in _imported(each)]
    while todo:
        name = todo.pop()
        text = None if name in found else find(name)
        if text is not None:
            found[name] = text
            todo += [n for each in ast.walk(ast.parse(text)) for n in _imported(each)]
    return found


def module_text(name: str) -> str | None:
    """The text of a module as it lies on disk; None for tillroll's own and installed ones: these are taken as given."""
    file = _file_of(name)
    return None if file is None else file.read_text(encoding="utf-8")


def _imported(node: ast.AST) -> Iterator[str]:
    """What an import may load: the module, the packages around it, and modules named like what is taken from it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            parts = alias.name.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")


def _file_of(name: str) -> Path | None:
    if name.split(".")[0] == "tillroll" and not name.startswith("tillroll.projections."):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.has_location or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    paths = sysconfig.get_paths()
    installed = (paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    return None if any(file.is_relative_to(path) for path in installed) else file
