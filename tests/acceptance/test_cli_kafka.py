"""The same commands on Kafka, where admission finds what was published twice."""

import json
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tillroll import settings

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def on_kafka(tillroll: Tillroll, kafka_address: str, monkeypatch: pytest.MonkeyPatch) -> Tillroll:
    monkeypatch.setenv(settings.LOG, f"kafka://{kafka_address}")
    return tillroll


@pytest.mark.kafka
def test_duplicates_count_once_and_a_conflict_is_told_with_what_to_do(on_kafka: Tillroll, rows: Rows) -> None:
    sku, event_id = f"shoe-{uuid.uuid4()}", str(uuid.uuid4())
    event = {
        "type": "StockReceived",
        "event_id": event_id,
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": "2026-03-14T09:30:00Z",
        "sku": sku,
        "location_id": "store-7",
        "quantity": 3,
    }
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
