"""Histories of the benchmark are the same every time, and their expected rows are what tillroll's own folding gives."""

import polars as pl
import pytest
from bench.contenders.shapes import SHAPES, Decoder
from bench.ground import MODEL
from bench.histories import History, sums
from bench.histories.flat import FEW, HOT, MANY
from bench.histories.mixed import MIXED
from bench.histories.orders import ORDERS
from bench.loading import placed, schemas
from bench.models import MODELS, copies

from tillroll.projection.code import code_of
from tillroll.projection.evaluate import evaluate

EVENTS = 2_000
ALL = [MANY, FEW, HOT, ORDERS, MIXED]


@pytest.mark.parametrize("history", ALL, ids=lambda history: history.name)
def test_a_history_is_the_same_in_any_stretches(history: History) -> None:
    whole = history.chunk(0, 300)
    halves = [history.chunk(0, 100), history.chunk(100, 200)]
    for record, frame in whole.items():
        assert pl.concat([half[record] for half in halves]).equals(frame)


@pytest.mark.parametrize("history", ALL, ids=lambda history: history.name)
def test_expected_rows_are_those_that_tillroll_folds(history: History) -> None:
    frames = history.chunk(0, EVENTS)
    facts = pl.concat([history.facts(record, frame) for record, frame in frames.items()])
    events = {record: frame.drop("n") for record, frame in frames.items()}
    for model, expected in history.expected.items():
        wanted = expected(facts)
        rows = evaluate(MODELS[model], events)[model].select(wanted.columns).sort("sku", "location_id")
        assert rows.equals(wanted)


@pytest.mark.parametrize("history", ALL, ids=lambda history: history.name)
def test_programs_without_tillroll_read_the_same_rows_from_the_wire(history: History) -> None:
    events = placed(history, frames := history.chunk(0, 300), {})["value"]
    facts = pl.concat([history.facts(record, frame) for record, frame in frames.items()])
    decode, shape = Decoder(schemas(history)), SHAPES[history.shape]
    rows = [row for value in events for row in shape.rows(*decode(value))]
    columns = ["sku", "location_id", *shape.sums, "occurred_at"]
    read = pl.DataFrame(rows, schema=columns, orient="row")
    assert sums(read, *shape.sums).equals(history.expected[MODEL[history.shape]](facts))


@pytest.mark.parametrize("history", ALL, ids=lambda history: history.name)
def test_ids_of_a_history_are_distinct(history: History) -> None:
    ids = pl.concat([frame.select("event_id") for frame in history.chunk(0, EVENTS).values()])
    assert ids["event_id"].n_unique() == len(ids)


def test_an_order_has_two_and_a_half_lines() -> None:
    orders = ORDERS.chunk(0, 400)["OrderPlaced"]
    assert len(ORDERS.facts("OrderPlaced", orders)) == 1_000


def test_offsets_go_on_from_chunk_to_chunk_without_gaps() -> None:
    ends: dict[int, int] = {}
    parts = [placed(MIXED, MIXED.chunk(start, 100), ends) for start in (0, 100)]
    for rows in pl.concat(parts).sort("n").partition_by("partition"):
        assert rows["offset"].to_list() == list(range(len(rows)))
    assert sum(ends.values()) == 200


def test_copies_of_a_projection_are_projections_of_their_own() -> None:
    models = copies(5)
    assert len({model.name for model in models}) == 5
    assert len({code_of(model).source for model in models}) == 1


def test_every_model_that_is_measured_has_an_expectation() -> None:
    assert {name for history in ALL for name in history.expected} == set(MODELS)
