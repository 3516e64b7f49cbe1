"""Each version of a projection is projected by the code it records, whatever the code at hand says by now."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tillroll.contract.registry import load_contract
from tillroll.database import Database
from tillroll.events import StockReceived
from tillroll.log.port import EventLog
from tillroll.log.postgres import PostgresLog
from tillroll.projection import Projection
from tillroll.projection.registry import load_projections
from tillroll.publisher import Publisher
from tillroll.services.projector import runner
from tillroll.services.projector.listening import Done, Silent
from tillroll.services.projector.retry import Retrier
from tillroll.services.projector.runner import Run
from tillroll.services.projector.versions import Resolved, resolve
from tillroll.store import dead_letters, versions
from tillroll.store.locks import standing_still
from tillroll.store.postgres import PostgresStore
from tillroll.store.versions import State
from tillroll.testing import event

CONTRACT = load_contract()

SOURCE = '''"""Units and how often."""

from tillroll.events import StockReceived
from tillroll.projection import Derived, Frame, Key, Projection, Sum, derived, on


class Units(Projection):
    """Units by sku."""

    sku: Key[str]
    units: Sum[int]
    twice: Derived[int] = derived("units * 2")

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All of them."""
        return events.select("sku", units="quantity")


class Times(Projection):
    """Receipts by sku."""

    sku: Key[str]
    times: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """One each."""
        return events.select("sku", times=1)
'''
TENFOLD = (
    ('units="quantity")', 'units=pl.col("quantity") * 10)'),
    ("from till", "import polars as pl\nfrom till"),
)

Declare = Callable[..., list[type[Projection]]]


class Told(Silent):
    """Keeps what a run notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, note: str) -> None:
        self.notes.append(note)


class Place:
    """A log and a store in one database."""

    def __init__(self, url: str):
        self.url, self.log, self.store = url, PostgresLog(url), PostgresStore(url)
        self.log.create_topics(CONTRACT.topics.values())

    @contextmanager
    def parts(self) -> Iterator[tuple[EventLog, PostgresStore]]:
        log, store = PostgresLog(self.url), PostgresStore(self.url)
        try:
            yield log, store
        finally:
            log.close()
            store.close()

    def receive(self, quantity: int) -> None:
        received = event(StockReceived, sku="shoe", location_id="s", quantity=quantity)
        Publisher(self.log, CONTRACT).publish([received])

    def project(self, projections: list[type[Projection]]) -> tuple[list[Done], list[str]]:
        """Once; what the workers did, and what was noted."""
        told = Told()
        return Run(self.parts, CONTRACT, projections, told, once=True).run(), told.notes

    def units(self, table: str = "units") -> int | None:
        with self.store.connection() as connection:
            row = connection.execute(f"select units from {table}".encode()).fetchone()
        return row[0] if row else None

    def candidate(self, projection: type[Projection]) -> None:
        with self.store.connection() as connection:
            versions.create(connection, projection.numbered(2), State.CANDIDATE)


@pytest.fixture
def place(postgres_url: str) -> Iterator[Place]:
    place = Place(postgres_url)
    yield place
    place.log.close()
    place.store.close()


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Writes SOURCE with changes into a file and loads it: Times, Units."""
    numbers = iter(range(100))

    def declared(*replaced: tuple[str, str]) -> list[type[Projection]]:
        source = SOURCE
        for old, new in replaced:
            assert old in source
            source = source.replace(old, new, 1)
        folder = tmp_path / f"own{next(numbers)}"
        folder.mkdir()
        (folder / "units.py").write_text(source, encoding="utf-8")
        found = load_projections([folder])
        return [found["times"], found["units"]]

    return declared


@contextmanager
def following(place: Place, projections: list[type[Projection]]) -> Iterator[list[Done]]:
    """A run that follows the log; what its workers did is there afterwards."""
    done: list[Done] = []
    run = Run(place.parts, CONTRACT, projections)
    thread = threading.Thread(target=lambda: done.extend(run.run()))
    thread.start()
    try:
        yield done
    finally:
        run.stop()
        thread.join(30)
        assert not thread.is_alive()


def in_time(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def test_changed_code_never_mixes_rows_and_says_what_changed(place: Place, declare: Declare) -> None:
    place.receive(1)
    assert place.project(declare())[1] == []
    place.receive(2)
    _, (note,) = place.project(declare(*TENFOLD))
    assert place.units() == 3
    assert note.startswith("units: handler received changed;")
    assert "`tillroll replay rebuild units`" in note


def test_changed_columns_go_on_as_they_were(place: Place, declare: Declare) -> None:
    place.receive(1)
    place.project(declare())
    place.receive(2)
    done, (note,) = place.project(
        declare(("units: Sum[int]", "units: Max[int]"), ("Sum, derived", "Max, Sum, derived"))
    )
    assert [each.error for each in done] == [None, None]
    assert (place.units(), "column units.units changed" in note) == (3, True)


def test_views_follow_the_code_at_once(place: Place, declare: Declare) -> None:
    place.receive(4)
    place.project(declare())
    _, (note,) = place.project(declare(("units * 2", "units * 3")))
    with place.store.connection() as connection:
        assert connection.execute("select units, twice from units").fetchone() == (4, 12)
    assert "derived column units.twice changed" in note
    assert place.project(declare(("units * 2", "units * 3")))[1] == []


def test_every_version_goes_by_its_own_code(place: Place, declare: Declare) -> None:
    place.receive(1)
    place.project(declare())
    (_, new) = declare(*TENFOLD)
    place.candidate(new)
    place.project([new])
    assert (place.units(), place.units("units_v2.units")) == (1, 10)


def test_a_run_that_follows_takes_up_a_version_that_comes_and_lets_go_of_one_that_goes(
    place: Place, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    (_, units), (_, new) = declare(), declare(*TENFOLD)
    place.receive(1)
    with following(place, [units]) as done:
        assert in_time(lambda: versions_of(place) == [1])
        place.candidate(new)
        assert in_time(lambda: place.units("units_v2.units") == 10)
        place.receive(1)
        assert in_time(lambda: (place.units(), place.units("units_v2.units")) == (2, 20))
        with place.store.connection() as connection:
            versions.drop(connection, "units", 2)
        place.receive(1)
        assert in_time(lambda: place.units() == 3)
    assert [each.error for each in done if each.name == "units"] == [None]
    assert versions_of(place) == [1]


def test_a_look_for_versions_parses_nothing_while_none_comes(
    place: Place, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, resolved = [0], [0]

    def counted_find(*args: Any) -> list[versions.Version]:
        looks[0] += 1
        return versions.find(*args)

    def counted_resolve(*args: Any) -> Resolved:
        resolved[0] += 1
        return resolve(*args)

    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(runner, "find", counted_find)
    monkeypatch.setattr(runner, "resolve", counted_resolve)
    with following(place, declare()):
        assert in_time(lambda: looks[0] >= 5)
    assert resolved[0] == 1


def test_a_version_that_was_held_for_a_while_is_taken_up_again(
    place: Place, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    (_, units), (_, new) = declare(), declare(*TENFOLD)
    place.receive(1)
    place.project([units])
    place.candidate(new)
    with following(place, [units]) as done:
        assert in_time(lambda: place.units("units_v2.units") == 10)
        with standing_still(place.store, "units", 2):
            place.receive(1)
            assert in_time(lambda: place.units() == 2)
            assert place.units("units_v2.units") == 10
        assert in_time(lambda: place.units("units_v2.units") == 20)
    told = [(each.name, each.events) for each in done if each.name.startswith("units")]
    assert sorted(told) == [("units", 1), ("units_v2", 2)]  # what it did before and after, together


def test_a_run_goes_by_the_code_that_it_has_loaded_whatever_its_file_says_by_now(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    file = tmp_path / "units.py"

    def loaded(source: str) -> type[Projection]:
        file.write_text(source, encoding="utf-8")
        return load_projections([tmp_path])["units"]

    units = loaded(SOURCE)
    place.receive(1)
    with following(place, [units]):
        assert in_time(lambda: versions_of(place) == [1] and place.units() == 1)
        tenfold = SOURCE
        for old, new in TENFOLD:
            tenfold = tenfold.replace(old, new, 1)
        place.candidate(loaded(tenfold))
        assert in_time(lambda: place.units("units_v2.units") == 10)
        place.receive(2)
        assert in_time(lambda: (place.units(), place.units("units_v2.units")) == (3, 30))


def test_code_that_was_mended_for_dead_letters_reaches_a_run_that_follows(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    file = tmp_path / "units.py"
    picky = SOURCE.replace(
        '        """All of them."""\n',
        '        """All but thirteen."""\n        if len(events.filter(quantity=13)):\n            raise ValueError("thirteen")\n',
        1,
    )
    file.write_text(picky, encoding="utf-8")
    units = load_projections([tmp_path])["units"]
    place.receive(13)
    with following(place, [units]):
        assert in_time(lambda: len(dead_letters.find(place.store)) == 1)
        file.write_text(SOURCE, encoding="utf-8")
        mended = load_projections([tmp_path])
        retrier = Retrier(place.log, place.store, CONTRACT, mended, mended=True)
        assert [each.applied for each in map(retrier.retry, dead_letters.find(place.store))] == [True]
        retrier.close()
        place.receive(13)
        assert in_time(lambda: place.units() == 26), (place.units(), dead_letters.find(place.store))
    assert dead_letters.find(place.store) == []


def versions_of(place: Place) -> list[int]:
    with place.store.connection() as connection:
        return [version.number for version in versions.find(connection, "units")]


def test_a_version_whose_code_cannot_be_loaded_stops_alone_and_the_run_has_failed(
    place: Place, declare: Declare
) -> None:
    place.receive(1)
    place.project(declare())
    with place.store.connection() as connection:
        connection.execute(
            "update tillroll.projections set code = jsonb_set(code, '{source}', '\"import gone_for_good\"') "
            "where name = 'units'"
        )
    place.receive(1)
    done, notes = place.project(declare(*TENFOLD))
    assert place.units() == 1
    assert [(each.name, each.events) for each in done if each.error is None] == [("times", 1)]
    failed = [str(each.error) for each in done if each.error is not None] + notes
    assert any("version 1 of units" in line and "gone_for_good" in line for line in failed)
    assert any(each.error is not None for each in done if each.name.startswith("units"))


def test_a_store_made_before_code_was_recorded_is_taken_on(postgres_url: str, declare: Declare) -> None:
    first = files("tillroll.store").joinpath("postgres.sql").read_bytes()
    database = Database(postgres_url)
    with database.connection() as connection:
        connection.execute(first)
    database.close()
    place = Place(postgres_url)
    try:
        place.receive(1)
        place.project(declare())
        with place.store.connection() as connection:
            connection.execute("update tillroll.projections set code = null, limits = null")
        place.receive(2)
        assert place.project(declare())[1] == []
        assert place.units() == 3
        assert "handler received changed" in place.project(declare(*TENFOLD))[1][0]
    finally:
        place.log.close()
        place.store.close()


def test_columns_declared_differently_before_code_was_recorded_are_refused(
    place: Place, declare: Declare
) -> None:
    place.receive(1)
    place.project(declare())
    with place.store.connection() as connection:
        connection.execute("update tillroll.projections set code = null")
    place.receive(2)
    more = declare(("units: Sum[int]", "units: Sum[int]\n    more: Sum[int]"))
    done, notes = place.project(more)
    assert any("replay rebuild units" in line for line in [*notes, *(str(each.error) for each in done)])
    assert place.units() == 1
