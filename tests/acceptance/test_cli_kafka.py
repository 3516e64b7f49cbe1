"""The same commands on Kafka, where admission finds what was published twice."""

import json
import random
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from tests.topics import delete_before

from tillroll import settings
from tillroll.log.kafka import KafkaLog
from tillroll.log.port import TopicPartition

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def on_kafka(tillroll: Tillroll, kafka_address: str, monkeypatch: pytest.MonkeyPatch) -> Tillroll:
    monkeypatch.setenv(settings.LOG, f"kafka://{kafka_address}")
    return tillroll


def stock(sku: str) -> dict[str, Any]:
    """Three received at store-7."""
    return {
        "type": "StockReceived",
        "event_id": str(uuid.uuid4()),
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": "2026-03-14T09:30:00Z",
        "sku": sku,
        "location_id": "store-7",
        "quantity": 3,
    }


@pytest.mark.kafka
def test_duplicates_count_once_and_a_conflict_is_told_with_what_to_do(on_kafka: Tillroll, rows: Rows) -> None:
    sku = f"shoe-{uuid.uuid4()}"
    event = stock(sku)
    event_id = event["event_id"]
    for told in (event, event, event | {"quantity": 4}):
        on_kafka("publish", "-", input=json.dumps(told))
    on_kafka("project", "store_availability", "--once")
    assert [row["on_hand"] for row in rows("store_availability", f"sku={sku}")] == [3]
    past = rows("store_availability", f"sku={sku}", "--as-of", "2026-03-14")
    assert [row["on_hand"] for row in past] == [3]
    cell = ("store_availability_stock", f"sku={sku}", "location_id=store-7", "--column", "on_hand")
    assert [part["total"] for part in json.loads(on_kafka("explain", *cell, "--json").stdout)["parts"]] == [3]
    letters = json.loads(on_kafka("dead-letters", "list", "admission", "--json", "--limit", 1000).stdout)
    (conflict,) = [letter for letter in letters if letter["event_id"] == event_id]
    result = on_kafka("dead-letters", "retry", conflict["id"], code=1)
    assert f"dead-letters discard {conflict['id']}" in result.stdout
    wrong, source, todo = on_kafka("dead-letters", "show", conflict["id"]).stdout.splitlines()[:3]
    assert wrong.startswith("a StockReceived has an event_id that an earlier event has: ")
    assert source.startswith("It is from source wms, channel warehouse, occurred at 2026-03-14T09:30:00Z")
    assert todo.startswith("To do: publish it anew with an id of its own")
    told = json.loads(on_kafka("status", "store_availability", "--json").stdout)
    assert told["projections"][0]["lag"] == 0
    assert told["admission"]["lag"] == 0
    assert told["admission"]["dead_letters"] >= 1


@pytest.mark.kafka
def test_a_new_store_on_a_log_that_let_go_of_events_goes_on_as_it_is_told_to(
    on_kafka: Tillroll, rows: Rows, kafka_address: str
) -> None:
    skus = [f"shoe-{uuid.uuid4()}" for _ in range(8)]
    on_kafka("publish", "-", input="\n".join(json.dumps(stock(sku)) for sku in skus))
    log = KafkaLog(kafka_address)
    for n in range(log.partitions("stock")):
        delete_before(kafka_address, "stock", n, log.end_offset(TopicPartition("stock", n)))
    log.close()
    kept = f"shoe-{uuid.uuid4()}"
    on_kafka("publish", "-", input=json.dumps(stock(kept)))
    refused = on_kafka("project", "products", "store_availability", "--once", "--json", code=1)
    told = {each["projection"]: each for each in json.loads(refused.stdout)["projections"]}
    assert told["products"]["error"] is None
    assert "events are missing" in told["store_availability"]["error"]
    (advice,) = re.findall(r"`tillroll (replay rebuild [^`]*)`", told["store_availability"]["error"])
    on_kafka(*advice.split())
    on_kafka("replay", "promote", "store_availability", "--force")
    assert [row["on_hand"] for row in rows("store_availability", f"sku={kept}")] == [3]


@pytest.mark.kafka
def test_what_no_broker_takes_is_rejected_and_its_neighbours_are_published_once(on_kafka: Tillroll) -> None:
    """Texts that do not compress: the broker's limit is on what it is sent."""
    lines = [
        json.dumps(
            {
                "type": "StockReceived",
                "event_id": str(uuid.uuid4()),
                "source": "wms",
                "channel": "warehouse",
                "occurred_at": "2026-03-14T09:30:00Z",
                "sku": "shoe-42",
                "location_id": "store-7",
                "quantity": 3,
                "reference": random.Random(size).randbytes(size // 2).hex(),
            }
        )
        for size in (10, 1_600_000, 999_000, 998_000, 12)
    ]
    result = on_kafka("publish", "-", input="\n".join(lines), code=1)
    assert "4 events published" in result.stdout
    assert "line 2: the event is too large: " in result.stderr


@pytest.mark.kafka
def test_the_doctor_says_how_batches_are_read(on_kafka: Tillroll) -> None:
    found = {check["name"]: check for check in json.loads(on_kafka("doctor", "--json").stdout)}
    assert found["log"]["state"] == "ok"
    assert "kafka-python" in found["Kafka client"]["found"]


def test_a_broker_that_is_not_there_is_one_line(tillroll: Tillroll) -> None:
    result = tillroll("project", "--once", "--log", "kafka://127.0.0.1:1", code=1)
    assert result.stderr.count("\n") == 1
    assert "127.0.0.1:1" in result.stderr
