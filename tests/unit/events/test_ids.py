"""Event ids: the same for what is told twice, rising for what happens now."""

import time
from uuid import UUID

import pytest

from tillroll.events import EVENT_NAMESPACE, event_id_for, new_event_id


def test_the_same_event_told_twice_has_one_id() -> None:
    assert event_id_for("pos", "ReturnReceived", "r1", 2) == event_id_for("pos", "ReturnReceived", "r1", 2)


@pytest.mark.parametrize(
    "other",
    [
        ("web", "ReturnReceived", "r1", 2),
        ("pos", "RefundIssued", "r1", 2),
        ("pos", "ReturnReceived", "r2", 2),
        ("pos", "ReturnReceived", "r1", 3),
    ],
)
def test_source_type_key_and_ordinal_each_make_another_event(other: tuple[str, str, str, int]) -> None:
    assert event_id_for(*other) != event_id_for("pos", "ReturnReceived", "r1", 2)


def test_an_order_is_one_whichever_source_tells_it() -> None:
    assert event_id_for("pos", "OrderPlaced", "o1") == event_id_for("web", "OrderPlaced", "o1", 7)
    assert event_id_for("pos", "OrderPlaced", "o1") != event_id_for("pos", "OrderPlaced", "o2")


def test_derived_ids_are_pinned_since_logs_hold_them() -> None:
    assert str(EVENT_NAMESPACE) == "132eaae6-f7ec-5c3e-b187-4f1d56d67b31"
    assert event_id_for("pos", "ReturnReceived", "r1") == "817f4183-6664-5b9e-b9db-97e0e6f5e025"
    assert event_id_for("pos", "OrderPlaced", "o1") == "68ef7a62-a73c-5106-9461-167d78246af5"


def test_new_ids_are_uuids_of_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    id_ = UUID(new_event_id())
    assert (id_.version, id_.variant) == (7, "specified in RFC 4122")
    assert before <= id_.int >> 80 <= time.time_ns() // 1_000_000


def test_new_ids_rise_and_never_repeat() -> None:
    drawn = [new_event_id() for _ in range(2_000)]
    assert len(set(drawn)) == len(drawn)
    assert [id_[:18] for id_ in drawn] == sorted(id_[:18] for id_ in drawn)


def test_new_ids_of_one_millisecond_are_told_apart_by_its_fraction() -> None:
    assert len({id_[15:18] for id_ in (new_event_id() for _ in range(2_000))}) > 100
