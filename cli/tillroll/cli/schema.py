"""`tillroll schema`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.checkout import require_checkout
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, say, show, table

if TYPE_CHECKING:
    from tillroll.contract.change import Change
    from tillroll.contract.check import Finding, Readers

__all__ = ["schema"]

_CHECK = click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file is out of step.")


@click.group()
def schema() -> None:
    """The contract: event types, their rules, and what is generated from them."""


@schema.command("list")
@with_options()
def list_(given: Given) -> None:
    """Every event type: topic, newest version, schema ids oldest first, what it says."""
    contract = given.contract
    rows = []
    for record in contract.records:
        versions, newest = contract.versions(record), contract.latest(record)
        doc = str(newest.avro.get("doc", ""))
        rows.append(Row(record, newest.topic, newest.version, [v.id for v in versions], doc))
    show(given, Rows(sorted(rows, key=lambda row: (row.topic, row.record))))


@schema.command()
@click.option(
    "--against",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Also compare with the contract in this folder, such as the last release's schemas, and say what breaks.",
)
@with_options("projections")
def check(given: Given, against: Path | None) -> None:
    """Check the rules of the contract, and name the projections that a broken one would break."""
    from tillroll.contract.change import check_change
    from tillroll.contract.check import check_contract
    from tillroll.contract.registry import Contract

    readers = _readers(given)
    old = Contract.from_directory(against) if against else given.contract
    changes = check_change(old, given.contract, readers)
    show(given, Checked(len(given.contract.records), check_contract(given.contract, readers), changes))


@schema.command()
@_CHECK
@with_options()
def generate(given: Given, check: bool) -> None:
    """Write what is made from the schemas: pinned ids, event classes, the contract's page."""
    from tillroll.contract.generated import stale_files, write_generated

    root = require_checkout()
    show(given, Generated(stale_files(root) if check else write_generated(root), check))


@schema.command()
@_CHECK
@with_options()
def docs(given: Given, check: bool) -> None:
    """Write the page of the contract, docs/contract.md."""
    from tillroll.contract.docs import contract_page
    from tillroll.contract.generated import PAGE, SCHEMAS
    from tillroll.contract.registry import Contract

    root = require_checkout()
    text = contract_page(Contract.from_directory(root / SCHEMAS))
    file = root / PAGE
    differs = not file.exists() or file.read_text(encoding="utf-8") != text
    if differs and not check:
        file.write_text(text, encoding="utf-8")
    show(given, Generated([PAGE] if differs else [], check))


def _readers(given: Given) -> "Readers":
    """Which projections read which event type, older ones that become it included."""
    try:
        projections = given.projections()
    except Exception as error:  # noqa: BLE001 - a projection in the making must not keep its contract from being checked
        say(f"projections are left out of the check, they cannot be imported: {error}")
        return {}
    readers: dict[str, list[str]] = {}
    for record in given.contract.records:
        newest = given.contract.newest_record(record)
        readers[record] = [p.name for p in projections if newest in p.records()]
    return readers


@dataclass(frozen=True)
class Row:
    """One event type."""

    record: str
    topic: str
    version: int
    ids: list[int]
    doc: str


@dataclass(frozen=True)
class Rows:
    """The event types."""

    rows: list[Row]

    def data(self) -> Any:
        """What --json prints."""
        return self.rows

    def text(self) -> Iterator[str]:
        """See Result."""
        rows = [
            (r.record, r.topic, r.version, ", ".join(map(str, r.ids)), _first_sentence(r.doc))
            for r in self.rows
        ]
        yield from table(("event type", "topic", "version", "ids", "says"), rows)


@dataclass(frozen=True)
class Checked:
    """What the check of the contract found; changes: from another state of it, if one was given."""

    records: int
    findings: "list[Finding]"
    changes: "list[Change]"

    @property
    def exit_code(self) -> int:
        """1 when a rule is broken or a change breaks something."""
        return int(bool(self.findings) or self._breaking > 0)

    @property
    def _breaking(self) -> int:
        return sum(change.breaking for change in self.changes)

    def text(self) -> Iterator[str]:
        """See Result."""
        yield from map(str, (*self.findings, *self.changes))
        yield f"{count(self.records, 'event type')}, {count(len(self.findings), 'rule')} broken"
        if self.changes:
            yield f"{count(len(self.changes), 'change')}, {self._breaking:,} of them breaking"


@dataclass(frozen=True)
class Generated:
    """Files that were written, or with `checked` those that are out of step."""

    files: list[Path]
    checked: bool

    @property
    def exit_code(self) -> int:
        """1 when a check found a file out of step."""
        return int(self.checked and bool(self.files))

    def data(self) -> Any:
        """What --json prints."""
        return {"out_of_step" if self.checked else "written": self.files}

    def text(self) -> Iterator[str]:
        """See Result."""
        if not self.files:
            yield "in step with the schemas"
        for file in self.files:
            yield (
                f"{file} is out of step; run `tillroll schema generate`"
                if self.checked
                else f"{file} written"
            )


def _first_sentence(text: str) -> str:
    first = text.partition(". ")[0].rstrip(".")
    return first if len(first) <= 80 else first[:77] + "..."
