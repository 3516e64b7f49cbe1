"""The parts of a run, one module each: a function from a stage and sizes to a list of Section."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.measuring import Scenario, as_json

__all__ = ["Section"]


@dataclass
class Section:
    """Scenarios that are compared with each other, the first one being the measure.

    unit: what a rate counts. rows: further tables, as dictionaries, where a rate says too little.
    """

    name: str
    title: str
    unit: str
    events: int
    scenarios: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def take(self, scenarios: list[Scenario]) -> "Section":
        """With what came of `scenarios`."""
        self.scenarios += [as_json(scenario) for scenario in scenarios]
        return self

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)
