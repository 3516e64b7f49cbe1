"""`tillroll query`."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tillroll.cli.moments import say_failures, slice_of, with_times
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import as_json, cell, say, table
from tillroll.cli.streams import results
from tillroll.errors import UsageError

if TYPE_CHECKING:
    from tillroll.store.reading import Answer, Question

__all__ = ["answered", "csv_lines", "json_lines", "parse_conditions", "query"]

TABLE_ROWS = 50
"""Rows that a table shows unless --limit says otherwise; JSON and CSV, made for programs, give all."""

MOST_ROWS = 2**63 - 1
"""A limit is a bigint in PostgreSQL."""


@click.command()
@click.argument("name")
@click.argument("conditions", nargs=-1, metavar="[COLUMN=VALUE]...")
@click.option(
    "--limit",
    type=click.IntRange(min=0, max=MOST_ROWS),
    help=f"Rows at most; {TABLE_ROWS} unless given, all with --json and --csv.",
)
@click.option(
    "--order-by",
    multiple=True,
    metavar="COLUMN",
    help="Sort by this column, downwards with a leading '-'; repeatable.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV with a header.")
@with_times
@with_options("log", "store", "projections")
def query(
    given: Given,
    name: str,
    conditions: tuple[str, ...],
    limit: int | None,
    order_by: tuple[str, ...],
    as_csv: bool,
    as_of: datetime | None,
    known_at: datetime | None,
) -> None:
    """Rows of a read model, now or at any time.

    NAME is a view such as store_availability, order_status, order_status_lines, customer_history or channel_sales.
    COLUMN=VALUE keeps the rows with that value; the same column again means any of its values, and no value
    (COLUMN=) rows where it is empty or unknown.

    --as-of and --known-at read the log instead of the store: the rows that only the events up to then make.
    """
    if given.json and as_csv:
        raise UsageError("--json and --csv contradict each other; give one of them")
    from tillroll.store.reading import Question

    where = parse_conditions(conditions)
    shorten = limit is None and not given.json and not as_csv
    question = Question(name, where, order_by, TABLE_ROWS + 1 if shorten else limit)
    with answered(given, question, as_of, known_at) as answer:
        lines = json_lines(answer) if given.json else csv_lines(answer) if as_csv else _table(answer, shorten)
        for line in lines:
            results().write(line)


def answered(
    given: Given, question: "Question", as_of: datetime | None, known_at: datetime | None
) -> AbstractContextManager["Answer"]:
    """The answer of now, from the store, or of any time, from the log."""
    if as_of is None and known_at is None:
        return _now(given, question)
    return _then(given, question, as_of, known_at)


@contextmanager
def _now(given: Given, question: "Question") -> Iterator["Answer"]:
    """The answer of the store."""
    from tillroll.store.reading import query as ask

    given.require_data()
    with ask(given.store, question) as answer:
        yield answer


@contextmanager
def _then(
    given: Given, question: "Question", as_of: datetime | None, known_at: datetime | None
) -> Iterator["Answer"]:
    """The answer of the log."""
    from tillroll.history.answer import ask

    answer, past = ask(given.history(), given.read_model(question.view), question, slice_of(as_of, known_at))
    yield answer
    say_failures(past.failures)


def parse_conditions(conditions: Iterable[str]) -> list[tuple[str, str]]:
    """``COLUMN=VALUE`` in two. Raises UsageError where there is no ``=``."""
    parts = [condition.partition("=") for condition in conditions]
    for text, sign, _ in parts:
        if not sign or not text:
            raise UsageError(f"{text!r} is no condition; write COLUMN=VALUE, such as sku=shoe-42")
    return [(column, value) for column, _, value in parts]


def json_lines(answer: "Answer") -> Iterator[str]:
    """An array of objects, one a line, written as the rows come; nothing before the first: a view may fail."""
    names, before = [column.name for column in answer.columns], "["
    for row in answer.rows:
        yield f"{before}\n  {as_json(dict(zip(names, row, strict=True)), None)}"
        before = ","
    yield "[\n]\n" if before == "[" else "\n]\n"


def csv_lines(answer: "Answer") -> Iterator[str]:
    """A header and the rows as they come; nothing before the first."""
    lines: list[str] = []
    writer = csv.writer(_Lines(lines), lineterminator="\n")
    writer.writerow([column.name for column in answer.columns])
    for row in answer.rows:
        writer.writerow([cell(value) for value in row])
        yield from lines
        lines.clear()
    yield from lines


class _Lines:
    """What csv.writer takes for a file."""

    def __init__(self, lines: list[str]):
        self._lines = lines

    def write(self, text: str) -> int:
        self._lines.append(text)
        return len(text)


def _table(answer: "Answer", shorten: bool) -> Iterator[str]:
    rows = list(answer.rows)
    more = shorten and len(rows) > TABLE_ROWS
    for line in table([column.name for column in answer.columns], rows[:TABLE_ROWS] if more else rows):
        yield line + "\n"
    if more:
        say(f"these are the first {TABLE_ROWS} rows; --limit N shows more, --json and --csv all")
