"""How results and messages look: results on stdout, all else on stderr."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

import click

from tillroll.cli.options import Given
from tillroll.cli.streams import results

__all__ = ["Result", "as_json", "cell", "count", "say", "show", "table"]

GAP = "  "
LONGEST_CELL = 200  # characters of a value in a table


class Result(Protocol):
    """What a command found or did. A dataclass: its fields are what --json prints, unless it has `data`."""

    def text(self) -> Iterable[str]:
        """The lines for a person."""
        ...


def show(given: Given, result: Result) -> None:
    """Print `result`; exit with its `exit_code` if it has one."""
    if given.json:
        click.echo(as_json(result.data() if hasattr(result, "data") else result), results())
    else:
        for line in result.text():
            click.echo(line, results())
    if code := getattr(result, "exit_code", 0):
        click.get_current_context().exit(code)


def say(message: str) -> None:
    """One line on stderr."""
    click.echo(f"tillroll: {message}", err=True)


def count(number: int, what: str, plural: str | None = None) -> str:
    """``1 event``, ``12,000 events``."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


# --- JSON ----------------------------------------------------------------------------------------------


def as_json(value: Any, indent: int | None = 2) -> str:
    """`value` as JSON; dataclasses as objects, times and dates as ISO 8601 text."""
    return json.dumps(value, default=_plain, indent=indent, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


# --- tables --------------------------------------------------------------------------------------------


def cell(value: Any) -> str:
    """`value` as a person reads it in a table or a CSV file: nothing for null, lists as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return as_json(value, None)
    return str(value if isinstance(value, str | int | float) else _plain(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], width: int | None = None) -> Iterator[str]:
    """Lines of an aligned table, numbers to the right; one block per row where it is wider than `width`.

    width: columns of the screen; None = those of the terminal, and no limit where there is none.
    """
    values = [list(row) for row in rows]
    cells = [[_short(_printable(cell(value))) for value in row] for row in values]
    right = [_is_numeric(row[at] for row in values) for at in range(len(columns))]
    sizes = [max(map(len, texts)) for texts in zip(columns, *cells, strict=True)]
    if sum(sizes) + len(GAP) * (len(sizes) - 1) > (_screen() if width is None else width):
        yield from _blocks(columns, cells)
        return
    for row in (columns, ["-" * size for size in sizes], *cells):
        places = zip(row, sizes, right, strict=True)
        yield GAP.join(t.rjust(size) if numeric else t.ljust(size) for t, size, numeric in places).rstrip()


def _short(text: str) -> str:
    """A list of a thousand values would make every line as wide as itself; --json and --csv give it whole."""
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."


def _blocks(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> Iterator[str]:
    size = max(map(len, columns))
    for number, row in enumerate(cells, 1):
        yield f"-- {number} --"
        yield from (
            f"{name.ljust(size)}{GAP}{text}".rstrip() for name, text in zip(columns, row, strict=True)
        )


def _is_numeric(values: Iterable[Any]) -> bool:
    told = [value for value in values if value is not None]
    return bool(told) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in told)


def _printable(text: str) -> str:
    """Without what would break the lines or command the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _screen() -> float:
    return shutil.get_terminal_size().columns if results().isatty() else float("inf")
