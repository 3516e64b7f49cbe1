"""What an event costs as histories grow, and as projections become many; memory beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench.ground import Ground
from bench.histories.flat import FEW, MANY
from bench.measuring import Contender, Scenario
from bench.models import copies
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage

__all__ = ["growth", "projections"]

LARGE = 2_000_000  # from here on two runs are enough, and a warm-up would take as long as the rest


def growth(stage: Stage, sizes: Sizes) -> list[Section]:
    """Histories of each size on both logs; the smallest is the measure."""
    sections = [
        Section(f"growth on {log}", f"growth of the history on {log}", MANY.unit, max(sizes.growth))
        for log in ("Kafka", "PostgresLog")
    ]
    for events in sizes.growth:
        with _ground(stage, events) as ground:
            ground.admit()
            scenarios = [
                ground.tillroll(f"tillroll, {events:,} events", "stock_levels", kafka=kafka)
                for kafka in (True, False)
            ]
            large = events >= LARGE
            ground.play(scenarios, min(2, sizes.side_runs) if large else sizes.side_runs, warm=not large)
        for section, scenario in zip(sections, scenarios, strict=True):
            section.take([scenario])
    return sections


def projections(stage: Stage, sizes: Sizes) -> list[Section]:
    """The same history for one, for ten, for a hundred projections in one process, on PostgresLog."""
    title = (
        "projections in one process, each over the whole history, on PostgresLog; an event counts for each"
    )
    with stage.kafka() as kafka:
        ground = Ground(stage, replace(FEW, name="fanned"), sizes.fanned, kafka)
        scenarios = [_many(ground, count) for count in sizes.projections]
        ground.play(scenarios, sizes.side_runs, warm=False)
        ground.leave()
    return [Section("projections", title, "events", sizes.fanned).take(scenarios)]


def _many(ground: Ground, count: int) -> Scenario:
    contender = Contender(f"{count:,} projections", "many", {"log": ground.log, "count": count})
    last = copies(count)[-1].name
    return Scenario(contender, ground.checked(last, ground.model))


@contextmanager
def _ground(stage: Stage, events: int) -> Iterator[Ground]:
    with stage.kafka() as kafka:
        ground = Ground(stage, MANY, events, kafka)
        yield ground
        ground.leave()
