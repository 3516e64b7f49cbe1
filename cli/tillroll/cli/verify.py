"""`tillroll verify`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.differing import difference_table, sample_tables
from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, show, table

if TYPE_CHECKING:
    from tillroll.services.replay.verify import Verified

__all__ = ["verify"]


@click.command()
@click.argument("name")
@with_options("log", "store")
def verify(given: Given, name: str) -> None:
    """Whether the rows of a projection are what its events make of them: folded anew to its positions, and compared.

    Nobody has to stop for it. Exit code 1 when rows, dead letters or counts of events differ.
    """
    from tillroll.services.replay.verify import verify as check

    given.require_data(also_log=True)
    show(given, Check(check(given.log, given.store, name)))


@dataclass(frozen=True)
class Check:
    """What was found, for showing."""

    verified: "Verified"

    def data(self) -> Any:
        """What --json prints."""
        return asdict(self.verified) | {"holds": self.verified.holds}

    @property
    def exit_code(self) -> int:
        """1 when anything differs."""
        return int(not self.verified.holds)

    def text(self) -> Iterator[str]:
        """See Result."""
        it = self.verified
        yield from table(
            ("partition", "position", "in the log", "applied", "dead letters", "expected"),
            [
                (f"{p.topic}/{p.partition}", p.position, p.in_log, p.applied, p.dead_letters, p.expected)
                for p in it.partitions
            ],
        )
        yield ""
        yield from difference_table(it.tables, "stored", "folded anew")
        yield from sample_tables(it.samples, "stored", "folded anew")
        for stored, rows in it.beside.items():
            yield f"{stored}: {count(rows, 'row')} hold something else beside what readers see; what comes would come out wrong"
        for p in it.partitions:
            if not p.complete:
                yield f"{p.topic}/{p.partition}: the log has {p.in_log:,} events, applied or dead are {(p.applied or 0) + p.dead_letters:,}"
        for place in it.missing:
            yield f"{place.topic}/{place.partition} offset {place.offset} fails, but is no dead letter"
        for place in it.surplus:
            yield f"{place.topic}/{place.partition} offset {place.offset} is a dead letter, but does not fail any more: retry it"
        yield ""
        since = f", from {it.begins} on," if it.begins else ""
        yield f"version {it.version} of {it.projection}{since} {'holds' if it.holds else 'differs from its events'}"
