"""However events get into the log, and however often, the read models hold the same rows."""

import random

import pytest
from tests.acceptance.history.conftest import Frames
from tests.acceptance.history.events import encoded
from tests.acceptance.history.place import Place, into_one
from tests.acceptance.history.rows import Rows, assert_same_rows


def test_the_history_fills_every_column_of_every_view(mixture_rows: Rows) -> None:
    """Otherwise equal rows would say little."""
    assert {
        "store_availability",
        "order_status",
        "order_status_lines",
        "customer_history",
        "channel_sales",
    } <= set(mixture_rows)
    alike = {
        f"{view}.{column.name}"
        for view, rows in mixture_rows.items()
        for column in rows
        if column.drop_nulls().n_unique() < 2
    }
    assert alike == set()


def test_the_same_rows_on_every_log(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    place.publish(mixture)
    assert place.project() == 0
    assert_same_rows(place.rows(), mixture_rows)


def test_the_last_event_first(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    """Projected in between too, so that rows of later events are in the store when earlier ones come."""
    latest_first = [(record, frame.reverse()) for record, frame in reversed(mixture)]
    half = len(latest_first) // 2
    for part in (latest_first[:half], latest_first[half:]):
        place.publish([(record, frame[: len(frame) // 2]) for record, frame in part])
        place.project()
        place.publish([(record, frame[len(frame) // 2 :]) for record, frame in part])
    place.project()
    assert_same_rows(place.rows(), mixture_rows)


def test_everything_twice(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    place.publish(mixture)
    place.project()
    place.publish([(record, frame.reverse()) for record, frame in reversed(mixture)])
    place.publish(mixture)
    place.project()
    assert_same_rows(place.rows(), mixture_rows)


@pytest.mark.parametrize("batch", [1, 7])
def test_small_batches_in_any_order(place: Place, batch: int, few: Frames, few_rows: Rows) -> None:
    events = encoded(few)
    random.Random(5).shuffle(events)
    place.append(events, batch)
    place.project()
    assert_same_rows(place.rows(), few_rows)


def test_all_events_of_a_topic_in_one_batch_of_one_partition(
    place: Place, retailer: Frames, retailer_rows: Rows
) -> None:
    """Partitions by another rule than tillroll's own; batches of up to 42,000 events come about only like this."""
    place.append(encoded(retailer), 50_000, into_one)
    place.project()
    assert_same_rows(place.rows(), retailer_rows)


def test_commits_of_a_few_events(place: Place, few: Frames, few_rows: Rows) -> None:
    """Every append is a batch of its own, and every poll is committed by itself."""
    place.append(encoded(few), 3)
    commits = place.project_in_steps(max_bytes=2_000)
    assert commits > 150
    assert_same_rows(place.rows(), few_rows)
