"""A projector in a process of its own, in small steps; says "ready" when it is about to read, ends when done."""

import sys

from tillroll.contract.registry import load_contract
from tillroll.log import extent, group
from tillroll.log.postgres import PostgresLog
from tillroll.projection.registry import load_projections
from tillroll.services.projector import projector as projecting
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore

group.REFRESH_SECONDS = 0.05
# Bytes a step, so that there are many of them.
projecting.READ_BYTES = dict.fromkeys(projecting.READ_BYTES, int(sys.argv[3]))


def main() -> None:
    log, store = PostgresLog(sys.argv[1]), PostgresStore(sys.argv[1])
    projection = load_projections()[sys.argv[2]]
    projector = Projector(projection, log, store, load_contract(), commit_bytes=1)
    ends = extent.ends(log, projection.topics())
    print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
    while projector.lag(ends):
        projector.step(0.05)
    projector.close()
    log.close()
    store.close()


if __name__ == "__main__":
    main()
