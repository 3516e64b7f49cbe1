"""`tillroll doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tillroll.cli.options import Given, with_options
from tillroll.cli.output import show

if TYPE_CHECKING:
    from tillroll.cli.checkup import Check

__all__ = ["doctor"]


@click.command()
@with_options("log", "store", "projections")
def doctor(given: Given) -> None:
    """What is reachable, in which version, and what to do where something is wrong.

    Changes nothing. Exit code 1 when something that is needed is broken.
    """
    from tillroll.cli.checkup import checkup

    show(given, Checkup(checkup(given)))


@dataclass(frozen=True)
class Checkup:
    """All that was looked at."""

    checks: "list[Check]"

    @property
    def exit_code(self) -> int:
        """1 when something needed is broken."""
        return int(any(check.state == "broken" for check in self.checks))

    def data(self) -> Any:
        """What --json prints."""
        return self.checks

    def text(self) -> Iterator[str]:
        """See Result."""
        size = max(len(check.name) for check in self.checks)
        for check in self.checks:
            yield f"{check.state:<7}  {check.name:<{size}}  {check.found}"
            if check.remedy:
                yield f"{'':<7}  {'':<{size}}  -> {check.remedy}"
