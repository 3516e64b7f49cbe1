"""Folding: bad events stand alone, bad handlers are told apart from them, and voids take back what was counted."""

import base64
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from tillroll.contract.registry import load_contract
from tillroll.contract.wire import encode
from tillroll.errors import DeclarationError, TooManyFailures
from tillroll.events import (
    Event,
    OrderLineCancelled,
    StockAdjusted,
    StockCounted,
    StockReceived,
    TransactionVoided,
)
from tillroll.log.decode import decode_batches
from tillroll.log.encode import encode_values
from tillroll.log.port import Batch, Position
from tillroll.projection import (
    Append,
    Deltas,
    First,
    Frame,
    Key,
    Latest,
    Level,
    Max,
    Projection,
    Sum,
    Table,
    on,
    on_each,
)
from tillroll.projection.evaluate import evaluate, read_views
from tillroll.projection.failures import Failure, FailureBudget
from tillroll.projection.fold import Folded, Folder
from tillroll.testing import event, given

CONTRACT = load_contract()


def wire(of: Event) -> bytes:
    return encode(CONTRACT.latest(of.record), of.fields())


def fold(projection: type[Projection], events: Iterable[Event | bytes]) -> Folded:
    values = [e if isinstance(e, bytes) else wire(e) for e in events]
    body = encode_values([b"k"] * len(values), values)
    batch = Batch("stock", 2, 500, 500 + len(values), len(values), 0, 0, body)
    folder = Folder(projection(), CONTRACT)
    return folder.fold(decode_batches([batch], CONTRACT, folder.wanted), [batch])


def received(sku: str, quantity: int = 1, **more: Any) -> StockReceived:
    return event(StockReceived, sku=sku, location_id="s", quantity=quantity, **more)


class Units(Projection):
    """Sums units; cannot stand a sku that begins with "bad"."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All but bad ones."""
        if (events.polars["sku"].str.starts_with("bad")).any():
            raise ValueError("a bad sku\x00")
        return events.select("sku", units="quantity")


def units(folded: Folded) -> dict[str, int]:
    return dict(read_views(Units, folded.deltas)["units"].rows())


# --- bad events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [[0], [99], [0, 1, 2], [3, 50, 51, 98], []])
def test_bad_events_are_found_and_the_others_applied(bad: list[int]) -> None:
    events = [received(f"{'bad' if n in bad else 'good'}{n}") for n in range(100)]
    folded = fold(Units, events)
    assert [f.position for f in folded.failures] == [Position("stock", 2, 500 + n) for n in bad]
    assert [f.event_id for f in folded.failures] == [events[n].event_id for n in bad]
    assert units(folded) == {f"good{n}": 1 for n in range(100) if n not in bad}
    assert folded.events == 100


def test_a_failure_tells_class_message_and_traceback() -> None:
    (failure,) = fold(Units, [received("bad" if n == 5 else "good") for n in range(8)]).failures
    assert (failure.record, failure.error, failure.message) == (
        "StockReceived",
        "ValueError",
        "a bad sku\x00",
    )
    assert "def received" not in failure.traceback
    assert failure.traceback.count("Traceback") == 1
    assert "raise ValueError" in failure.traceback


def test_values_that_are_no_events_are_failures_too() -> None:
    folded = fold(Units, [received("a"), b"rubbish", wire(received("b")) + b"\x00"])
    assert sorted((f.position.offset, f.error, f.value is not None) for f in folded.failures) == [
        (501, "MalformedEvent", True),
        (502, "MalformedEvent", True),
    ]
    assert units(folded) == {"a": 1}


def test_training_is_kept_and_never_counted() -> None:
    assert units(fold(Units, [received("a"), received("a", 5, training=True)])) == {"a": 1}


def test_an_event_that_no_handler_wants_is_passed_over() -> None:
    folded = fold(Units, [event(StockCounted, sku="bad", location_id="s", quantity=3)])
    assert (folded.events, folded.failures, units(folded)) == (0, [], {})


# --- the budget -----------------------------------------------------------------------------------------


def failures(size: int) -> list[Failure]:
    return [Failure(Position("t", 0, n), "R", "id", "E", "why", "") for n in range(size)]


@pytest.mark.parametrize(("events", "bad"), [(1, 1), (10, 10), (1_000, 10), (5_000, 50), (1_000_000, 100)])
def test_some_failures_are_bad_events(events: int, bad: int) -> None:
    FailureBudget().spend(events, failures(bad), "p")


@pytest.mark.parametrize(
    ("events", "bad"), [(11, 11), (1_000, 11), (5_000, 51), (500_000, 101), (1_000_000, 201)]
)
def test_many_failures_are_a_bad_handler(events: int, bad: int) -> None:
    with pytest.raises(
        TooManyFailures, match=rf"p: {bad} of {events} events failed, the first at t/0 offset 0.*E: why"
    ):
        FailureBudget().spend(events, failures(bad), "p")


def test_a_handler_that_fails_always_is_found_out_in_small_batches_too() -> None:
    budget = FailureBudget()
    for _ in range(10):
        budget.spend(1, failures(1), "p")
    with pytest.raises(TooManyFailures):
        budget.spend(1, failures(1), "p")


def test_old_failures_are_forgotten() -> None:
    budget = FailureBudget()
    for _ in range(100):
        budget.spend(5_000, failures(20), "p")


# --- voids ----------------------------------------------------------------------------------------------


class Counted(Projection):
    """What can be taken back, and what cannot be by counting alone."""

    sku: Key[str]
    units: Sum[int]
    on_hand: Level[int]
    largest: Max[int]
    newest: Latest[int]

    @on(StockReceived, StockAdjusted)
    def moved(self, events: Frame) -> Frame:
        """Everything at once."""
        units = pl.col("quantity")
        return events.select("sku", units=units, on_hand=units, largest=units, newest=units)

    @on(StockCounted)
    def counted(self, events: Frame) -> Frame:
        """A count."""
        return events.select("sku", on_hand_count="quantity")


def voided(*events: Event, **more: Any) -> TransactionVoided:
    named = [
        {"topic": e.topic, "event_id": e.event_id, "event": base64.b64encode(wire(e)).decode()}
        for e in events
    ]
    return event(TransactionVoided, order_id="o", voided=named, **more)


def counted(folded: Folded) -> dict[str, Any]:
    (row,) = read_views(Counted, folded.deltas)["counted"].rows(named=True)
    return row


@pytest.mark.parametrize("turned", [False, True])
def test_a_void_takes_sums_and_moves_back(turned: bool) -> None:
    three, four = received("a", 3), received("a", 4, at="2026-01-02T00:00Z")
    folded = fold(Counted, [voided(three), three, four][:: -1 if turned else 1])
    assert counted(folded) == {"sku": "a", "units": 4, "on_hand": 4, "largest": 4, "newest": 4}


def test_a_void_takes_a_move_back_only_where_no_count_includes_it() -> None:
    three = received("a", 3, at="2026-01-01T00:00Z")
    after = event(StockCounted, sku="a", location_id="s", quantity=10, at="2026-01-02T00:00Z")
    assert counted(fold(Counted, [three, after, voided(three, at="2026-01-03T00:00Z")]))["on_hand"] == 10


def test_a_void_names_events_of_several_types_and_no_others_count() -> None:
    three, two = received("a", 3), event(StockAdjusted, sku="a", location_id="s", quantity=2)
    other = event(StockCounted, sku="a", location_id="s", quantity=9, training=True)
    folded = fold(Counted, [three, two, received("a", 1), voided(three, two, other)])
    assert counted(folded)["units"] == 1


def test_a_void_made_in_training_takes_nothing_back() -> None:
    three = received("a", 3)
    assert counted(fold(Counted, [three, voided(three, training=True)]))["units"] == 3


def test_a_void_reaches_projections_that_read_no_orders() -> None:
    three = received("a", 3)
    given(three, received("a"), voided(three)).when(Units).then([{"sku": "a", "units": 1}])


def test_a_void_that_cannot_be_read_is_a_failure() -> None:
    named = [{"topic": "stock", "event_id": received("a").event_id, "event": "no base64!"}]
    bad = [
        event(TransactionVoided, order_id="o", voided=named),
        event(
            TransactionVoided, order_id="o", voided=[named[0] | {"event": base64.b64encode(b"xyz").decode()}]
        ),
    ]
    folded = fold(Counted, [*bad, received("a", 3)])
    assert [f.event_id for f in folded.failures] == [b.event_id for b in bad]
    assert [f.of_handler for f in folded.failures] == [False, False]
    assert "no Base64" in folded.failures[0].message
    assert counted(folded)["units"] == 3


@pytest.mark.parametrize(("sku", "quantity", "of_handler"), [("bad", 1, True), ("a", 2 * 10**12, False)])
def test_a_failure_tells_whether_the_handler_may_be_wrong(sku: str, quantity: int, of_handler: bool) -> None:
    (failure,) = fold(Units, [received(sku, quantity)]).failures
    assert failure.of_handler is of_handler


class Wrong(Projection):
    """Makes of every event what nobody can sum."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Far too many."""
        return events.select("sku", units=pl.col("quantity") * 10**13)


def test_a_handler_that_makes_impossible_numbers_is_not_the_events_fault() -> None:
    folded = fold(Wrong, [received("a") for _ in range(20)])
    assert {failure.of_handler for failure in folded.failures} == {True}
    with pytest.raises(TooManyFailures):
        FailureBudget().spend(folded.events, folded.failures, "wrong")


@pytest.mark.parametrize("odd", [{"sku": "a\x00b"}, {"sku": "x" * 9_000}, {"quantity": -(10**13)}])
def test_an_event_that_holds_what_nobody_can_use_is_at_fault_itself(odd: dict[str, Any]) -> None:
    fields = received("a").fields() | odd
    folded = fold(Wrong, [encode(CONTRACT.latest("StockReceived"), fields)])
    assert [failure.of_handler for failure in folded.failures] == [False]


# --- handlers that return rubbish -----------------------------------------------------------------------


def projection(answer: Callable[[Frame], Any]) -> type[Projection]:
    class Rubbish(Projection):
        sku: Key[str]
        day: First[date]
        seen: Max[datetime]
        units: Sum[int]
        ratio: Max[float]
        stock: Level[int]

        @on(StockReceived)
        def received(self, events: Frame) -> Deltas:
            return answer(events)  # type: ignore[no-any-return]

    return Rubbish


RUBBISH: dict[str, tuple[Callable[[Frame], Any], str]] = {
    "nothing": (lambda e: None, "a handler returns Frames made from the one it is given, not NoneType"),
    "a Polars frame": (lambda e: e.polars, "not DataFrame"),
    "a list of numbers": (lambda e: [1, 2], "not int"),
    "a frame of its own making": (
        lambda e: Frame(pl.DataFrame({"sku": ["a"]}), "x"),
        "made from the one it is given",
    ),
    "frames by a name": (lambda e: {"rubbish": e.select("sku")}, "'rubbish' is no table of rubbish"),
    "frames by a table of others": (lambda e: {Table: e.select("sku")}, "is no table of rubbish"),
    "an unknown column": (lambda e: e.select("sku", unit="quantity"), "table rubbish has no column unit"),
    "a count where none is kept": (
        lambda e: e.select("sku", units_count="quantity"),
        "has no column units_count",
    ),
    "no key": (lambda e: e.select(units="quantity"), "table rubbish needs its key; sku is missing"),
    "a null in the key": (lambda e: e.select(sku="reference"), "null in key column sku of table rubbish"),
    "a number for a text": (
        lambda e: e.select(sku="quantity"),
        "column sku of table rubbish is str, and the handler gives Int64",
    ),
    "a text for a number": (
        lambda e: e.select("sku", units="sku"),
        "column units of table rubbish is int, and the handler gives String",
    ),
    "a fraction for a whole number": (
        lambda e: e.select("sku", units=pl.col("quantity") / 2),
        "column units of table rubbish is int, and the handler gives Float64",
    ),
    "a list for a number": (
        lambda e: e.select("sku", units=pl.concat_list("quantity")),
        "column units of table rubbish",
    ),
    "a number too large": (
        lambda e: e.select("sku", units=pl.lit(2**64 - 1, pl.UInt64)),
        "column units of table rubbish",
    ),
    "a sum too large": (
        lambda e: e.select("sku", units=pl.lit(2**62)),
        "column units of table rubbish: a contribution beyond",
    ),
    "a move too large": (
        lambda e: e.select("sku", stock=pl.lit(-(2**62))),
        "column stock of table rubbish: a contribution beyond",
    ),
    "a count too large": (
        lambda e: e.select("sku", stock_count=pl.lit(2**62)),
        "column stock_count of table rubbish",
    ),
    "no number": (
        lambda e: e.select("sku", ratio=pl.lit(float("nan"))),
        "column ratio of table rubbish: NaN",
    ),
    "infinity": (
        lambda e: e.select("sku", ratio=pl.lit(float("inf"))),
        "column ratio of table rubbish: NaN and infinity",
    ),
    "a time for a date": (
        lambda e: e.select("sku", day="occurred_at"),
        "column day of table rubbish is date",
    ),
    "a time without zone": (
        lambda e: e.select("sku", seen=pl.col("occurred_at").dt.replace_time_zone(None)),
        "column seen of table rubbish is datetime",
    ),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_told_by_table_and_column(name: str) -> None:
    answer, reason = RUBBISH[name]
    given(received("a")).when(projection(answer)).then_fails(reason)


def test_kin_is_taken_for_what_it_means() -> None:
    def answer(events: Frame) -> Frame:
        return events.select(
            pl.col("sku").cast(pl.Categorical),
            units=pl.col("quantity") > 0,
            ratio="quantity",
            seen=pl.col("occurred_at").dt.convert_time_zone("Europe/Berlin"),
            day=pl.lit(None),
        )

    taken = given(received("a", 3)).when(projection(answer))
    taken.then([{"sku": "a", "units": 1, "ratio": 3.0, "day": None, "seen": received("a").occurred_at}])


class Several(Projection):
    """Two tables, and a handler that does not say which."""

    class One(Table):
        """One."""

        sku: Key[str]

    class Two(Table):
        """Two."""

        sku: Key[str]

    @on(StockReceived)
    def received(self, events: Frame) -> Deltas:
        """Which of them?"""
        return events.select("sku")


def test_a_handler_of_several_tables_says_which() -> None:
    given(received("a")).when(Several).then_fails(
        "a handler of several tables (one, two) returns frames by table"
    )


class Each(Projection):
    """One event at a time."""

    sku: Key[str]
    units: Sum[int]

    @on_each(StockReceived)
    def received(self, event: dict[str, Any]) -> Iterable[Any]:
        """A unit a row; no rows for none; rubbish for less."""
        if event["quantity"] < 0:
            return ["rubbish"]
        return [{"sku": event["sku"], "units": 1}] * event["quantity"]


def test_one_event_at_a_time_may_give_several_rows_or_none() -> None:
    given(received("a", 3), received("b", 0), received("a", 1)).when(Each).then([{"sku": "a", "units": 4}])
    given(received("b", 0)).when(Each).then_nothing("each")


def test_one_event_at_a_time_gives_dicts() -> None:
    given(received("a", -1)).when(Each).then_fails("gives rows as dicts, not str")


class Places(Projection):
    """Every row of an event has a place of its own in time."""

    order_id: Key[str]
    released: Append[int]

    @on(OrderLineCancelled)
    def cancelled(self, events: Frame) -> list[Frame]:
        """Lists of lists, and the same frame twice."""
        lines = events.lines().select("order_id", "released").lines("released")
        return [lines.select("order_id", released="quantity")] * 2


def test_rows_of_one_event_stay_apart() -> None:
    given_up = [{"sku": "a", "released": [{"location_id": "s", "quantity": n} for n in (2, 5)]}] * 2
    cancelled = event(OrderLineCancelled, order_id="o", lines=given_up)
    given(cancelled).when(Places).then([{"order_id": "o", "released": [2, 5, 2, 5] * 2}])


def test_a_panic_of_polars_is_an_error_like_any_other() -> None:
    def panic(events: Frame) -> Frame:
        raise pl.exceptions.PanicException("index out of bounds")

    given(received("a")).when(projection(panic)).then_fails("PanicException: index out of bounds")


# --- without a log --------------------------------------------------------------------------------------


def test_frames_alone_are_enough_to_evaluate() -> None:
    frame = decode_batches(
        [
            Batch(
                "stock", 0, 0, 2, 2, 0, 0, encode_values([b"", b""], [wire(received("a", n)) for n in (1, 2)])
            )
        ],
        CONTRACT,
    ).frames["StockReceived"]
    bare = frame.drop("_batch", "_offset", "_recorded_at")
    for frames in ({"StockReceived": frame}, {"StockReceived": bare}):
        assert evaluate(Units, frames)["units"].rows() == [("a", 3)]
    assert evaluate(Units, {})["units"].rows() == []


@pytest.mark.parametrize("kind", [Sum, Level])
def test_fractions_are_not_summed_since_their_sum_depends_on_order(kind: Any) -> None:
    def declare() -> None:
        class Fractions(Projection):
            sku: Key[str]
            amount: kind[float]

            @on(StockReceived)
            def received(self, events: Frame) -> Frame:
                return events.select("sku", amount="quantity")

    with pytest.raises(DeclarationError, match="float"):
        declare()


class Interrupted(Projection):
    """The user presses Ctrl-C while a handler is at work."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """Is interrupted."""
        raise KeyboardInterrupt


def test_an_interrupt_of_the_user_is_no_failure_of_an_event() -> None:
    with pytest.raises(KeyboardInterrupt):
        fold(Interrupted, [received("a")])


class Typed(Projection):
    """A key of every type."""

    sku: Key[str]
    day: Key[date]
    at: Key[datetime]
    units: Key[int]
    half: Key[float]
    many: Key[bool]
    events: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """One each."""
        units, at = pl.col("quantity"), pl.col("occurred_at")
        typed = {"day": at.dt.date(), "at": at, "units": units, "half": units / 2, "many": units > 2}
        return events.select("sku", **typed, events=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sku", "b"),
        ("day", "2026-03-15"),
        ("at", "2026-03-15T08:30:00Z"),
        ("at", "2026-03-15 09:30+01:00"),
        ("units", "3"),
        ("half", "1.5"),
        ("many", "true"),
    ],
)
def test_of_a_projection_restricted_to_a_key_only_its_rows_are_folded(name: str, text: str) -> None:
    events = [received("a", 2, at="2026-03-14T08:30Z"), received("b", 3, at="2026-03-15T08:30Z")]
    folded = fold(Typed.numbered(2, {name: text}), events)
    assert folded.failures == []
    assert folded.deltas["typed"].rows["sku"].to_list() == ["b"]
