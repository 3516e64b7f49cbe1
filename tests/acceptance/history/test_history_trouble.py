"""What goes wrong on the way, end to end: one line and exit code 1, a dead letter, or waiting and going on.

test_cli_failures.py and test_cli_dead_letters.py hold more of it for PostgresLog."""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import polars as pl
import pytest
from tests.acceptance.history.conftest import Frames, NewStore
from tests.acceptance.history.events import encoded
from tests.acceptance.history.place import Place, execute
from tests.acceptance.history.rows import Rows, assert_same_rows, assert_says
from tests.acceptance.history.test_history_kills import done, running, wait_until
from tests.topics import delete_before, remove_topics

from tillroll.log.port import Record
from tillroll.store.embedded import embedded_postgres
from tillroll.testing.broker import free_port
from tillroll.testing.kafka import Broker

PICKY = '''
from tillroll.events import StockCounted
from tillroll.projection import Frame, Key, Projection, Sum, on


class Picky(Projection):
    """Units counted."""

    sku: Key[str]
    units: Sum[int]

    @on(StockCounted)
    def counted(self, events: Frame) -> Frame:
        """All but those of one sku."""
        if len(events.filter(sku="{sku}")):
            raise LookupError("no such thing here")
        return events.select("sku", units="quantity")
'''

NO_EVENTS = {
    "no Avro": b"hello",
    "an unknown schema": b"\x00\xff\xff\xff\xff??",
    "nothing": b"",
}


def one_line(text: str) -> str:
    """`text`, which has to be one line of tillroll's."""
    assert text.startswith("tillroll: ")
    assert text.count("\n") == 1, text
    return text


# --- events that cannot be read or applied -----------------------------------------------------------------


def test_values_that_are_no_events_are_kept_with_place_and_reason(
    place: Place, few: Frames, few_rows: Rows
) -> None:
    events = encoded(few)
    place.append(events[: len(events) // 2], 50)
    with place.log() as log:
        ids = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(9))
        records = [Record(b"k", value, next(ids)) for value in NO_EVENTS.values()]
        positions = [answer.position for answer in log.append("stock", 3, records)]
    place.append(events[len(events) // 2 :], 50)
    place.tillroll("project", "--once")
    assert_same_rows(place.rows(), few_rows)
    letters = json.loads(place.tillroll("dead-letters", "list", "store_availability", "--json").stdout)
    assert [(letter["topic"], letter["partition"], letter["offset"]) for letter in letters] == positions
    assert all(letter["message"] for letter in letters)
    assert "schema id 4294967295 is not in the contract" in letters[1]["message"]


def test_an_event_that_a_handler_raises_on_is_kept_and_the_others_are_applied(
    place: Place, few: Frames, tmp_path: Path
) -> None:
    (counted,) = [frame.filter(~frame["training"]) for record, frame in few if record == "StockCounted"]
    is_taken = counted["sku"] != counted["sku"][0]
    (tmp_path / "picky.py").write_text(PICKY.replace("{sku}", counted["sku"][0]))
    place.publish([("StockCounted", counted)])
    place.tillroll("project", "picky", "--once", TILLROLL_PROJECTIONS=str(tmp_path))
    taken = counted.filter(is_taken).group_by("sku").agg(units=pl.col("quantity").sum())
    assert len(taken) > 3
    assert_says("picky", place.rows()["picky"], taken)
    letters = pl.DataFrame(json.loads(place.tillroll("dead-letters", "list", "picky", "--json").stdout))
    assert set(letters["event_id"]) == set(counted.filter(~is_taken)["event_id"])
    assert set(letters.select("error", "message").rows()) == {("LookupError", "no such thing here")}


# --- what is down for a while --------------------------------------------------------------------------------


@pytest.mark.kafka
def test_a_projector_waits_while_kafka_is_down_and_goes_on(
    on_kafka: Place, kafka_broker: Broker, mixture: Frames, mixture_rows: Rows
) -> None:
    events = encoded(mixture)
    on_kafka.append(events[:5_000], 500)
    with running(on_kafka) as process:
        wait_until(lambda: done(on_kafka) > 0, process)
        kafka_broker.kill()
        time.sleep(3)
        assert process.poll() is None
        kafka_broker.start()
        on_kafka.append(events[5_000:], 500)
        ends = on_kafka.ends()
        wait_until(lambda: done(on_kafka) == ends, process)
        process.terminate()
        _, told = process.communicate(timeout=30)
        assert process.returncode == 0, told
    assert_same_rows(on_kafka.rows(), mixture_rows)


def test_a_projector_goes_on_after_its_connections_were_cut(
    place: Place, mixture: Frames, mixture_rows: Rows
) -> None:
    """All sessions of the store's database are ended, three times, while events arrive."""
    events, database = encoded(mixture), urlsplit(place.store_address).path.strip("/")
    with running(place) as process:
        for at in range(0, len(events), len(events) // 3):
            place.append(events[at : at + len(events) // 3], 500)
            before = done(place)
            execute(
                place.store_address,
                f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}' "
                "and pid <> pg_backend_pid()",
            )
            wait_until(lambda before=before: done(place) > before, process)  # type: ignore[misc]
        ends = place.ends()
        wait_until(lambda: done(place) == ends, process)
        process.terminate()
        _, told = process.communicate(timeout=30)
        assert process.returncode == 0, told
    assert_same_rows(place.rows(), mixture_rows)


# --- what is not there, or not as it was ---------------------------------------------------------------------


@pytest.mark.parametrize("command", ["import tpcds --scale 0.01", "project --once", "project", "status"])
def test_where_no_kafka_answers_is_one_line(new_store: NewStore, command: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    place, start = Place(f"kafka://{nowhere}", new_store()), time.monotonic()
    told = one_line(place.tillroll(*command.split(), code=1).stderr)
    assert nowhere in told
    assert time.monotonic() - start < 15


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a server that asks the role `clerk` for the password `right`."""
    folder = tmp_path_factory.mktemp("guarded")
    address = embedded_postgres(folder)
    execute(address, "create role clerk login superuser password 'right'")
    rules = folder / "postgres" / "pg_hba.conf"
    rules.write_text("local all clerk scram-sha-256\n" + rules.read_text())
    execute(address, "select pg_reload_conf()")
    return address


def test_a_wrong_password_is_one_line(guarded: str) -> None:
    def as_clerk(password: str) -> Place:
        parts = urlsplit(guarded)
        address = urlunsplit(parts._replace(netloc=f"clerk:{password}@"))
        return Place(address, address)

    as_clerk("right").tillroll("project", "--once")
    for command in (
        "project --once",
        "project",
        "status",
        "query channel_sales",
        "import tpcds --scale 0.01",
    ):
        told = one_line(as_clerk("wrong").tillroll(*command.split(), code=1).stderr)
        assert "refuses access" in told
        assert "wrong" not in told.replace("wrong password", "")


@pytest.mark.kafka
def test_a_position_older_than_kafka_is_refused_saying_what_is_missing(
    on_kafka: Place, kafka_broker: Broker, few: Frames
) -> None:
    stock = [event for event in encoded(few) if event[0] == "stock"]
    on_kafka.append(stock[:20], 5, lambda record, partitions: 1)
    on_kafka.tillroll("project", "store_availability", "--once")
    on_kafka.append(stock[20:60], 5, lambda record, partitions: 1)
    delete_before(kafka_broker.address, "stock", 1, 50)
    told = on_kafka.tillroll("project", "store_availability", "--once", code=1).stderr
    assert "store_availability stands at offset 20 of stock/1" in told
    assert "30 events are missing" in told


@pytest.mark.kafka
def test_topics_that_are_not_there_yet_are_made(on_kafka: Place) -> None:
    done = json.loads(on_kafka.tillroll("project", "--once", "--json").stdout)
    assert {row["events"] for row in done["projections"]} == {0}


@pytest.mark.kafka
def test_topics_that_were_made_anew_are_refused(on_kafka: Place, kafka_broker: Broker, few: Frames) -> None:
    """The read model stands for events that the log does not have any more: going on would skip new ones."""
    on_kafka.publish(few)
    on_kafka.tillroll("project", "--once")
    remove_topics(kafka_broker.address)
    on_kafka.append(encoded(few)[:40], 5)
    told = on_kafka.tillroll("project", "--once", code=1).stderr
    assert "stands at offset" in told
