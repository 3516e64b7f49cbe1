"""A column of ids holds what event_id_for gives one by one."""

import pytest

from tillroll.events import event_id_for
from tillroll.services.histories.ids import event_ids

KEYS = ["C536379", "", "käse/1", "a" * 200, "tpcds-web-1"]


@pytest.mark.parametrize("event_type", ["OrderPlaced", "RefundIssued"])
@pytest.mark.parametrize("ordinal", [0, 3])
def test_ids_are_those_of_single_events(event_type: str, ordinal: int) -> None:
    expected = [event_id_for("web/eu", event_type, key, ordinal) for key in KEYS]
    assert event_ids("web/eu", event_type, KEYS, ordinal).to_list() == expected


def test_ten_thousand_ids_are_well_formed_and_differ() -> None:
    ids = event_ids("s", "T", [str(number) for number in range(10_000)])
    assert ids.str.contains("^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()
    assert ids.n_unique() == len(ids)
    assert ids.name == "event_id"
