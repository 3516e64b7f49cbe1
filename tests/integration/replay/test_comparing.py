"""A candidate is compared at the live version's very positions, on either log, whoever is ahead."""

import json
from typing import Any

import psycopg
from tests.integration.replay.conftest import NAME, Scene


def done(scene: Scene, *command: str, code: int = 0) -> Any:
    found = scene.run(*command, "--json")
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


def test_compared_switched_and_verified_whoever_is_ahead(scene: Scene) -> None:
    scene.publish(seed=1, size=600, batch=50)
    scene.project()
    scene.publish(seed=2, size=200, batch=20)
    done(scene, "replay", "rebuild", NAME)  # ahead of the live one now, which nobody projects
    found = done(scene, "replay", "compare", NAME)
    assert found["same"], found
    assert sum(found["positions"].values()) >= 800
    assert [table["live_rows"] > 0 for table in found["tables"]] == [True, True]

    done(scene, "replay", "promote", NAME, "--reason", "to see")
    assert scene.state() == [(1, "warm"), (2, "live")]
    scene.publish(seed=3, size=200, batch=20)
    scene.publish(seed=3, size=200, batch=70)  # on Kafka they stand in the log twice, and count once
    done(scene, "project", NAME, "--once")
    found = done(scene, "verify", NAME)
    assert found["holds"]
    assert sum(each["in_log"] for each in found["partitions"]) == 1_000
    assert sum(each["applied"] for each in found["partitions"]) == 1_000
    done(scene, "replay", "rollback", NAME)
    done(scene, "project", NAME, "--once")  # live first, then the other: both are kept up
    assert done(scene, "verify", NAME)["holds"]
    assert done(scene, "replay", "compare", NAME)["same"]


def test_what_differs_is_found_at_the_same_positions(scene: Scene) -> None:
    scene.publish(seed=1, size=400, batch=50)
    scene.project()
    done(scene, "replay", "rebuild", NAME)
    scene.publish(seed=2, size=200, batch=20)
    scene.project()  # followed by both
    with psycopg.connect(scene.store_address) as connection:
        changed = connection.execute(
            "update store_availability_v2.stock set allocated = allocated + 1 "
            "where sku = (select min(sku) from store_availability_v2.stock)"
        ).rowcount
    assert changed
    found = done(scene, "replay", "compare", NAME)
    (stock,) = (table for table in found["tables"] if table["table"] == "stock")
    assert (stock["added"], stock["removed"], stock["changed"]) == (0, 0, changed)
    assert stock["columns"] == {"allocated": changed}
