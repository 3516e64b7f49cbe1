"""A column of ids holds what the standard library gives one by one."""

import uuid

from tillroll.services.histories.ids import EVENT_NAMESPACE, event_ids, order_event_ids

KEYS = ["C536379", "", "käse/1", "a" * 200, "tpcds-web-1"]


def test_ids_are_version_5_over_source_type_key_and_ordinal() -> None:
    expected = [str(uuid.uuid5(EVENT_NAMESPACE, f"web/eu\x1fRefundIssued\x1f{key}\x1f3")) for key in KEYS]
    assert event_ids("web/eu", "RefundIssued", KEYS, 3).to_list() == expected


def test_the_id_of_an_order_placed_depends_on_the_order_alone() -> None:
    expected = [str(uuid.uuid5(EVENT_NAMESPACE, f"OrderPlaced\x1f{key}")) for key in KEYS]
    assert order_event_ids(KEYS).to_list() == expected


def test_ten_thousand_ids_are_well_formed_and_differ() -> None:
    ids = event_ids("s", "T", [str(number) for number in range(10_000)])
    assert ids.str.contains("^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()
    assert ids.n_unique() == len(ids)
    assert ids.name == "event_id"
