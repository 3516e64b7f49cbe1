"""Threads of a run that follows take turns more often, and as they did once it has ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tillroll.contract.registry import load_contract
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog
from tillroll.projections.store_availability import StoreAvailability
from tillroll.services.projector.runner import TURN_SECONDS, Run
from tillroll.store.postgres import PostgresStore


@pytest.mark.parametrize("once", [False, True])
def test_turns_are_short_while_a_run_follows(postgres_url: str, once: bool) -> None:
    before, met = sys.getswitchinterval(), list[float]()
    store = PostgresStore(postgres_url)

    @contextmanager
    def parts() -> Iterator[tuple[EventLog, PostgresStore]]:
        met.append(sys.getswitchinterval())
        yield log, store

    log = MemoryLog()
    run = Run(parts, load_contract(), [StoreAvailability], once=once)
    if not once:
        run.stop()
    run.run()
    store.close()
    assert max(met) == min(met) == pytest.approx(before if once else TURN_SECONDS)
    assert sys.getswitchinterval() == before
