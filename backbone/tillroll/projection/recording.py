"""Modules made from recorded source, in a room of their own: whatever is imported under their names stays as it is."""

import builtins
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

__all__ = ["recorded_module", "source_kept"]

_KEPT = "__tillroll_source__"
"""Where such a module keeps its text, and the texts of those beside it; there is no file to read them from."""


def recorded_module(name: str, source: str, beside: Mapping[str, str]) -> ModuleType:
    """A module that runs `source`; imports of the modules `beside` (text by name) get these, not today's.

    Raises whatever the source raises. The modules stand in sys.modules as ``tillroll_recorded.<name>...``, since
    typing looks the module of a class up by name.
    """
    return _Room(f"tillroll_recorded.{name}", beside).run("", source)


def source_kept(module: ModuleType) -> tuple[str, Mapping[str, str]] | None:
    """The text of a recorded module and of those beside it; None for any other module."""
    kept: tuple[str, Mapping[str, str]] | None = module.__dict__.get(_KEPT)
    return kept


class _Room:
    """Modules that see each other."""

    def __init__(self, name: str, beside: Mapping[str, str]):
        self._name, self._beside = name, beside
        self._made: dict[str, ModuleType] = {}
        self._builtins = vars(builtins) | {"__import__": self._import}

    def run(self, name: str, source: str) -> ModuleType:
        """The module `name`, run."""
        module = ModuleType(f"{self._name}.{name}" if name else self._name)
        # There is no such file: modules that only name their folder go on, those that read from it say what is missing.
        file = f"<recorded>/{module.__name__}.py"
        module.__dict__.update(
            {_KEPT: (source, self._beside), "__builtins__": self._builtins, "__file__": file}
        )
        self._made[name] = sys.modules[module.__name__] = module
        exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)
        return module

    def _import(
        self,
        name: str,
        globals_: Mapping[str, Any] | None = None,
        locals_: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What an import statement asks for; see builtins.__import__."""
        recorded = name if level == 0 and name in self._beside else None
        for item in fromlist or ():
            if level == 0 and f"{name}.{item}" in self._beside:
                return self._package(name, fromlist or ())
        if recorded is None:
            return __import__(name, globals_, locals_, fromlist or (), level)
        if fromlist or "." not in name:
            return self._load(name)
        return self._top(name)

    def _load(self, name: str) -> ModuleType:
        return self._made.get(name) or self.run(name, self._beside[name])

    def _package(self, name: str, items: Sequence[str]) -> ModuleType:
        """A package as `from name import items` sees it: with the recorded modules among the items."""
        found = ModuleType(name)
        package = self._load(name) if name in self._beside else __import__(name, fromlist=["*"])
        found.__dict__.update(vars(package))
        for item in items:
            if f"{name}.{item}" in self._beside:
                setattr(found, item, self._load(f"{name}.{item}"))
        return found

    def _top(self, name: str) -> ModuleType:
        """The outermost package of `import a.b.c`, which has to be recorded as well."""
        top, *rest = name.split(".")
        if top not in self._beside:
            raise ImportError(f"import {name}: write `from {name.rpartition('.')[0]} import {rest[-1]}`")
        found = at = self._load(top)
        for n, part in enumerate(rest, 2):
            inner = self._load(".".join(name.split(".")[:n]))
            setattr(at, part, inner)
            at = inner
        return found
