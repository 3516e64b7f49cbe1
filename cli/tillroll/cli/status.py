"""`tillroll status`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import count, show, table

if TYPE_CHECKING:
    from tillroll.services.projector.standing import Standing

__all__ = ["status"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--partitions", is_flag=True, help="Show every partition, not only those that are behind.")
@with_options("log", "store", "projections")
def status(given: Given, names: tuple[str, ...], partitions: bool) -> None:
    """How far each projection is behind the log, and what could not be applied.

    Lag is in events, and in seconds since the position last moved.
    """
    from tillroll.services.projector.standing import standing

    given.require_data(also_log=True)
    projections = given.kept_up(names)
    show(given, Status(standing(given.log, given.store, given.contract, projections), partitions))


@dataclass(frozen=True)
class Status:
    """Where projections stand, for showing."""

    standing: "Standing"
    all_partitions: bool

    def data(self) -> Any:
        """What --json prints."""
        return self.standing

    def text(self) -> Iterator[str]:
        """See Result."""
        told = self.standing
        yield from table(
            ("projection", "version", "state", "behind", "seconds", "dead letters"),
            [
                (p.projection, p.version, p.state, p.lag, _rounded(p.seconds), p.dead_letters)
                for p in told.projections
            ],
        )
        yield from self._partitions()
        if told.admission is not None:
            dead = count(told.admission.dead_letters, "conflict")
            yield f"\nadmission: {count(told.admission.lag, 'event')} behind, {dead}"
        yield f"\nlog {told.log}"

    def _partitions(self) -> Iterator[str]:
        rows = [
            (p.projection, f"{at.topic}/{at.partition}", at.position, at.end, at.lag, _rounded(at.seconds))
            for p in self.standing.projections
            for at in p.partitions
            if at.lag or self.all_partitions
        ]
        if rows:
            yield ""
            yield from table(("projection", "partition", "position", "end", "behind", "seconds"), rows)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
