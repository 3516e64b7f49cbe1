"""An answer about the past of now is the answer of the store: columns, types, keys, rows and their order."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.integration.projector.conftest import run_to_the_end
from tests.unit.history.logs import CONTRACT, filled

from tillroll.cli.output import as_json
from tillroll.cli.query import csv_lines
from tillroll.errors import UsageError
from tillroll.events import StockAdjusted, StockReceived
from tillroll.history import export
from tillroll.history.answer import ask
from tillroll.history.scan import Slice
from tillroll.history.view import History
from tillroll.log.memory import MemoryLog
from tillroll.projection import Append, Frame, Key, Projection, Union, on
from tillroll.projection.registry import load_projections, view_names
from tillroll.services.projector.projector import Projector
from tillroll.store.postgres import PostgresStore
from tillroll.store.reading import Question, query
from tillroll.testing.order_free import generated_history

KNOWN = load_projections()


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


def projected(projection: type[Projection], store: PostgresStore) -> MemoryLog:
    log = filled(generated_history(projection, seed=21, size=200))
    projector = Projector(projection, log, store, CONTRACT)
    run_to_the_end(projector, log)
    projector.close()
    return log


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.timestamp() if isinstance(value, datetime) else value


def questions(view: str, schema: pl.Schema) -> Iterator[Question]:
    every = [name for name, dtype in schema.items() if not dtype.is_nested()]
    down = [f"-{name}" for name in every]
    yield Question(view, order_by=every)
    yield Question(view, order_by=down, limit=3)
    texts = [name for name in every if schema[name] == pl.String]
    yield Question(view, order_by=every, where=[(texts[0], ""), (texts[0], "a"), (texts[0], "x")])


@pytest.mark.parametrize("projection", [pytest.param(each, id=each.name) for each in KNOWN.values()])
def test_the_answer_is_that_of_the_store(projection: type[Projection], store: PostgresStore) -> None:
    log = projected(projection, store)
    history = History(log, CONTRACT)
    for view in view_names(projection):
        schema = history.nothing(projection).views[view].schema
        for question in questions(view, schema):
            then, _ = ask(history, KNOWN.values(), question, Slice())
            with query(store, question) as now:
                assert then.columns == now.columns
                rows = [[plain(value) for value in row] for row in now.rows]
            assert [[plain(value) for value in row] for row in then.rows] == rows
            assert rows or question.where


class Lists(Projection):
    """Columns of every rule that gives a list."""

    sku: Key[str]
    quantities: Append[int]
    places: Union[str]
    days: Union[date]
    times: Append[datetime]

    @on(StockReceived, StockAdjusted)
    def moved(self, events: Frame) -> Frame:
        """All of them."""
        at = pl.col("occurred_at")
        return events.select("sku", quantities="quantity", places="location_id", days=at.dt.date(), times=at)


def test_lists_are_those_of_the_store(store: PostgresStore) -> None:
    history = History(projected(Lists, store), CONTRACT)
    then, _ = ask(history, [Lists], Question("lists"), Slice())
    with query(store, Question("lists")) as now:
        assert then.columns == now.columns
        rows = [as_json(row) for row in now.rows]
    assert [as_json(row) for row in then.rows] == rows
    assert rows
    with pytest.raises(UsageError, match=r"places is a list \(jsonb\)"):
        ask(history, [Lists], Question("lists", where=[("places", "a")]), Slice())


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv"])
def test_what_is_exported_is_the_same_from_the_store_and_from_the_log(
    store: PostgresStore, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    history = History(projected(Lists, store), CONTRACT)
    lists = export.lists_of(history.nothing(Lists).views["lists"].schema)
    assert lists == {"quantities": pl.List(pl.Int64), "places": pl.List(pl.String)}
    files = [tmp_path / f"{name}{suffix}" for name in ("now", "then")]
    with query(store, Question("lists")) as now:
        counts = [export.export(now, files[0], csv_lines, lists)]
    then, _ = ask(history, [Lists], Question("lists"), Slice())
    counts.append(export.export(then, files[1], csv_lines, lists))
    read = {".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".csv": pl.read_csv}[suffix]
    one, two = (read(file) for file in files)
    assert_frame_equal(one, two)
    assert counts == [len(one), len(two)]
    assert len(one) > 1
    assert sorted(tmp_path.iterdir()) == sorted(files)


class Unread(MemoryLog):
    """Is not read."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("read")


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question("orders"), "there are channel_sales"),
        (Question("store_availability", where=[("colour", "red")]), "it has sku, location_id, on_hand"),
        (Question("store_availability", order_by=["-colour"]), "it has sku, location_id, on_hand"),
        (Question("store_availability", where=[("on_hand", "many")]), "a whole number is expected"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_log_is_read(question: Question, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ask(History(filled([], Unread()), CONTRACT), KNOWN.values(), question, Slice())
