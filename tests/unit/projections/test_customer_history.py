"""The timeline holds whatever happens to an order."""

from tillroll.events import EVENTS, BookedEvent
from tillroll.projections.customer_history import CustomerHistory

# Says which events are taken back, each of which is on the timeline itself.
ABOUT_OTHERS = {"TransactionVoided"}


def test_every_event_of_an_order_or_a_return_is_on_the_timeline() -> None:
    topics = {"orders", "returns"}
    wanted = {
        name for name, event in EVENTS.items() if event.topic in topics and issubclass(event, BookedEvent)
    }
    assert CustomerHistory.records() == wanted - ABOUT_OTHERS
