"""A projection folded anew up to given positions, into a version that nobody reads and that is gone in the end."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tillroll.contract.registry import load_contract
from tillroll.log.port import EventLog, Positions
from tillroll.projection.declare import Projection
from tillroll.projection.failures import FailureBudget
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State, Version, create, drop

__all__ = ["SCRATCH", "folded_anew"]

SCRATCH = 0  # the number of the version that is folded anew; no other has it
STEP_SECONDS = 0.2


@contextmanager
def folded_anew(
    log: EventLog, store: PostgresStore, version: Version, projection: type[Projection], positions: Positions
) -> Iterator[type[Projection]]:
    """What `version`, whose class is `projection`, comes to at `positions`; from where it began, of the keys it has.

    One that a killed process left is taken away first. Whatever events fail, they are its dead letters.
    """
    scratch = projection.numbered(SCRATCH, version.limits.get("only"))
    with store.connection() as connection:
        drop(connection, projection.name, SCRATCH)
        create(connection, scratch, State.FILLING, version.limits, version.start)
    try:
        _fold(log, store, scratch, positions)
        yield scratch
    finally:
        with store.connection() as connection:
            drop(connection, projection.name, SCRATCH)


def _fold(log: EventLog, store: PostgresStore, scratch: type[Projection], positions: Positions) -> None:
    budget = FailureBudget(most=math.inf, share=1.0)
    projector = Projector(scratch, log, store, load_contract(), limit=positions, budget=budget)
    with closing(projector):
        while projector.lag(positions) > 0:
            projector.step(STEP_SECONDS)
        projector.flush()
