"""The story of the shoe: gone here, set aside nearby, collected, brought back elsewhere, for sale again."""

from collections.abc import Iterator, Sequence

from tillroll.contract.registry import Contract
from tillroll.errors import TillrollError
from tillroll.events import Event
from tillroll.log.port import EventLog
from tillroll.projection.declare import Projection
from tillroll.publisher import Publisher
from tillroll.services.demo import events
from tillroll.services.demo.events import FAR, HERE, NEXT, ORDER, SHOE, THIRD
from tillroll.services.demo.story import Said, Shown, table_of
from tillroll.services.nearby import nearby
from tillroll.services.projector.runner import project_once
from tillroll.store.postgres import PostgresStore

__all__ = ["story_of_the_shoe"]

NAMES = {HERE: "Franklin", NEXT: "Brentwood", FAR: "Nashville", THIRD: "Murfreesboro"}

EVERYWHERE = f"""
    select l.name as store, a.on_hand, a.reserved, a.sellable as to_sell
      from store_availability as a join locations as l on l.location_id = a.location_id
     where a.sku = '{SHOE}' order by l.name"""
STATUS = f"""
    select order_id, sku, ordered, ready, collected, returned, status
      from order_status_lines where order_id = '{ORDER}'"""


def story_of_the_shoe(
    publisher: Publisher,
    log: EventLog,
    store: PostgresStore,
    contract: Contract,
    models: Sequence[type[Projection]],
) -> Iterator[Said | Shown]:
    """Each step is a few events, published and projected, and what the read models say after it."""

    def happens(*told: Event) -> None:
        _publish(publisher, told)
        project_once(log, store, contract, models)

    yield Said("The shoe", heading=True)
    happens(events.received(NEXT, 1), events.received(FAR, 2))
    if table_of(store, "", STATUS).rows:
        yield Said("It was told in this log before and adds nothing now: each table shows how it ended.")
    yield Said(
        f"A shop assistant in {NAMES[HERE]} scans a shoe, size 42. It is gone here. Who nearby has it?"
    )
    yield _nearby(store)
    yield _everywhere(store, "in every store")

    happens(events.reserved())
    yield Said(
        f"She has the pair in {NAMES[NEXT]} set aside for her customer. It is still on hand there, but not for sale."
    )
    yield _everywhere(store, "set aside")

    happens(*events.ordered())
    yield Said(
        "The customer buys it for pickup: the reservation ends, the order keeps the pair, and it waits for him."
    )
    yield _everywhere(store, "waiting for its buyer")
    happens(events.collected())
    yield Said(f"He collects it. The pair has left {NAMES[NEXT]}.")
    yield _everywhere(store, "collected")

    happens(*events.brought_back())
    yield Said(
        f"At home it pinches. He brings that very pair back, unworn, to {NAMES[THIRD]}: there it can be sold again at once."
    )
    yield _everywhere(store, "brought back")
    yield table_of(store, "what became of the order", STATUS)
    yield _nearby(store)


def _publish(publisher: Publisher, told: Sequence[Event]) -> None:
    refused = [answer for answer in publisher.publish(told) if answer.conflict]
    if refused:
        raise TillrollError(
            f"the demo's own events stand in this log with other content, at {refused[0].position}: it was made by "
            "another version of the demo; name a new directory with --data"
        )


def _nearby(store: PostgresStore) -> Shown:
    found = nearby(store, SHOE, HERE)
    rows = [
        (place.name, "?" if place.km is None else f"{place.km:.0f} km", place.sellable) for place in found
    ]
    return Shown(f"who has size 42 to sell, from {NAMES[HERE]}", ("store", "distance", "to_sell"), rows)


def _everywhere(store: PostgresStore, when: str) -> Shown:
    return table_of(store, f"the shoe, {when}", EVERYWHERE)
