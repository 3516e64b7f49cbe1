"""What a projection declares: its tables, each column with a merge rule, and its handlers.

    class StoreAvailability(Projection):
        sku: Key[str]
        on_hand: Level[int]
        reserved: Sum[int]
        sellable: Derived[int] = derived("on_hand - reserved")

        @on(StockReceived)
        def received(self, events: Frame) -> Frame:
            return events.select("sku", on_hand="quantity")

Merging is commutative and associative, so no order of arrival, no split into batches and no late retry
can change a row. That is why a column has no "set" rule.
"""

import hashlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from tillroll.contract.registry import VOID, load_contract
from tillroll.errors import DeclarationError
from tillroll.projection.expressions import check_expressions
from tillroll.projection.frame import Frame
from tillroll.projection.rules import (
    Append,
    Column,
    Derived,
    Expression,
    First,
    Key,
    Latest,
    Level,
    Max,
    Min,
    Rule,
    Sum,
    TableSpec,
    Union,
)

__all__ = [
    "Append",
    "Column",
    "Deltas",
    "Derived",
    "Expression",
    "First",
    "Key",
    "Latest",
    "Level",
    "Max",
    "Min",
    "Projection",
    "Rule",
    "Sum",
    "Table",
    "TableSpec",
    "Union",
    "derived",
    "on",
    "on_each",
]


class Table:
    """Base of the tables of a projection that has several: a nested class with annotated columns.

    view: the name under which readers see it; ``<projection>_<table>`` unless given. "" = the projection's
    own name.
    """

    view: ClassVar[str | None] = None


Deltas = Frame | Sequence[Frame] | Mapping[type[Table], Frame | Sequence[Frame]]
"""What a handler returns: frames for the only table, or frames by table."""

Handler = Callable[[Any, Frame], Deltas]
_HANDLES = "_handles_records"


class Projection:
    """A read model. Subclass it in a module of its own; see docs/add-a-projection.md.

    name: snake case of the class name unless given. version: raise it when the rows would change.
    views: further views, name -> SELECT in which {table} stands for a table's own view.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    views: ClassVar[Mapping[str, str]] = {}

    tables: ClassVar[tuple[TableSpec, ...]]
    tables_by_class: ClassVar[Mapping[type, TableSpec]]
    handlers: ClassVar[Mapping[str, tuple[str, ...]]]

    only: ClassVar[Mapping[str, str]] = {}
    """Key columns and the one value each that is folded, as text; empty: every key (see `numbered`)."""

    def __init_subclass__(cls, declares: bool = True) -> None:
        """Read the declaration; raises DeclarationError where it contradicts itself."""
        super().__init_subclass__()
        if not declares:
            return
        cls.name = cls.__dict__.get("name") or _snake(cls.__name__)
        cls.tables_by_class = dict(_tables(cls))
        cls.tables = tuple(cls.tables_by_class.values())
        for table in cls.tables:
            check_expressions(cls.name, table)
        _refuse_one_view_twice(cls)
        cls.handlers = _handlers(cls)
        if not cls.handlers:
            raise DeclarationError(f"{cls.__name__} has no handler; write one with @on(EventType)")

    @classmethod
    def records(cls) -> frozenset[str]:
        """Names of the event types that are handled."""
        return frozenset(cls.handlers)

    @classmethod
    def topics(cls) -> tuple[str, ...]:
        """Topics to read, sorted: those of the handled events, and the one where any event may be voided."""
        return tuple(load_contract().topics_of((*cls.handlers, VOID)))

    @classmethod
    def table(cls, name: str) -> TableSpec:
        """The table of this name."""
        return next(table for table in cls.tables if table.name == name)

    @classmethod
    def numbered(cls, version: int, only: Mapping[str, str] | None = None) -> "type[Projection]":
        """The same projection as another version of itself; `only`: restricted to these values of key columns."""
        told = {
            "version": version,
            "only": dict(only or {}),
            "__module__": cls.__module__,
            "__doc__": cls.__doc__,
        }
        found = types.new_class(
            cls.__name__, (cls,), {"declares": False}, lambda namespace: namespace.update(told)
        )
        found.__qualname__ = cls.__qualname__
        return found

    @classmethod
    def schema(cls) -> str:
        """The PostgreSQL schema that holds this version."""
        return f"{cls.name}_v{cls.version}"

    @classmethod
    def fingerprint(cls) -> str:
        """Changes when the declared tables do; the store compares it."""
        told = repr(
            [(t.name, [(c.name, c.rule.name, c.type.__name__) for c in t.columns]) for t in cls.tables]
        )
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def derived(sql: str) -> Any:
    """The value of a Derived column: one SQL expression over the table's other columns."""
    return Expression("", sql)


def on(*events: type) -> Callable[[Handler], Handler]:
    """Handle these event types: the method gets a Frame of all events of one type in the batch."""

    def mark(method: Handler) -> Handler:
        setattr(method, _HANDLES, tuple(event.__name__ for event in events))
        return method

    return mark


def on_each(*events: type) -> Callable[[Callable[[Any, dict[str, Any]], Iterable[dict[str, Any]]]], Handler]:
    """Handle one event at a time: the method gets a dict and returns rows. Convenient, and slow."""

    def mark(method: Callable[[Any, dict[str, Any]], Iterable[dict[str, Any]]]) -> Handler:
        def batch(self: Any, frame: Frame) -> Frame:
            return frame.map_each(lambda event: method(self, event))

        batch.__doc__ = method.__doc__
        return on(*events)(batch)

    return mark


# --- reading the declaration ------------------------------------------------------------------------


def _tables(cls: type[Projection]) -> Iterable[tuple[type, TableSpec]]:
    """The class that declares each table, the projection itself if it has but one, and the table."""
    nested = [value for value in vars(cls).values() if isinstance(value, type) and issubclass(value, Table)]
    own = _columns(cls)
    if bool(own[0]) == bool(nested):
        raise DeclarationError(f"{cls.__name__} declares columns of its own or nested tables, one of the two")
    if not nested:
        yield cls, TableSpec(cls.name, cls.name, *_checked(cls.__name__, *own))
    for table in nested:
        short = _snake(table.__name__)
        view = f"{cls.name}_{short}" if table.view is None else table.view or cls.name
        yield table, TableSpec(short, view, *_checked(f"{cls.__name__}.{table.__name__}", *_columns(table)))


def _refuse_one_view_twice(cls: type[Projection]) -> None:
    """Views of one projection share one schema with each other, too."""
    owners: dict[str, str] = {}
    declared = [(table.view, f"table {of.__name__}") for of, table in cls.tables_by_class.items()]
    for view, owner in (*declared, *((name, f"views[{name!r}]") for name in cls.views)):
        if view in owners:
            raise DeclarationError(
                f"{cls.__name__}: {owners[view]} and {owner} both have the view {view}; give one of them another name"
            )
        owners[view] = owner


def _columns(cls: type) -> tuple[tuple[Column, ...], tuple[Expression, ...]]:
    columns, expressions = [], []
    hints = typing.get_type_hints(cls)
    for name in inspect.get_annotations(cls):
        marker, kinds = typing.get_origin(hints[name]), typing.get_args(hints[name])
        if marker is Derived:
            expressions.append(_expression(cls, name))
        elif marker is not ClassVar:
            columns.append(_column(cls, name, marker, kinds))
    return tuple(columns), tuple(expressions)


def _expression(cls: type, name: str) -> Expression:
    given = vars(cls).get(name)
    if not isinstance(given, Expression):
        raise DeclarationError(
            f'{cls.__name__}.{name}: give its SQL, as in `{name}: Derived[int] = derived("a - b")`'
        )
    return Expression(name, given.sql)


def _column(cls: type, name: str, marker: Any, kinds: tuple[Any, ...]) -> Column:
    try:
        column = Column(name, Rule(marker), kinds[0])
        column.dtype  # noqa: B018 - raises KeyError on a type that no column can have
    except (ValueError, KeyError, IndexError):
        raise DeclarationError(
            f"{cls.__name__}.{name}: annotate it with a merge rule and a type, such as Sum[int]; types are "
            "int, float, str, bool, date, datetime"
        ) from None
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or "__" in name:
        raise DeclarationError(
            f"{cls.__name__}.{name}: column names are snake case without double underscores"
        )
    return column


def _checked(
    where: str, columns: tuple[Column, ...], expressions: tuple[Expression, ...]
) -> tuple[tuple[Column, ...], tuple[Expression, ...]]:
    if not any(column.rule is Rule.KEY for column in columns):
        raise DeclarationError(f"{where} has no key; annotate at least one column with Key[...]")
    names = {column.name for column in columns}
    for column in columns:
        if column.rule is Rule.LEVEL and f"{column.name}_count" in names:
            raise DeclarationError(
                f"{where}.{column.name}_count is taken: it carries the counts of {column.name}"
            )
        if column.rule in (Rule.SUM, Rule.LEVEL) and column.type is not int:
            raise DeclarationError(
                f"{where}.{column.name}: only int can be summed; a sum of floats depends on their order, so use "
                "whole minor units"
            )
    return columns, expressions


def _handlers(cls: type[Projection]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, method in vars(cls).items():
        for record in getattr(method, _HANDLES, ()):
            found.setdefault(record, []).append(name)
    return {record: tuple(names) for record, names in found.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
