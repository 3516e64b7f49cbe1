"""The broker, or the database server, goes down under a rebuild, which waits for it and goes on."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.integration.replay.conftest import NAME, Scene, in_time, moved

from tillroll import settings
from tillroll.store import embedded
from tillroll.store.embedded import embedded_postgres
from tillroll.testing.kafka import Broker


@pytest.mark.kafka
def test_a_broker_that_is_killed_is_waited_for(
    kafka_broker: Broker, postgres_url: str, tmp_path: Path
) -> None:
    scene = Scene(f"kafka://{kafka_broker.address}", postgres_url, tmp_path)
    scene.publish(1, 4_000, batch=20)
    scene.project()
    with scene.rebuilding("--rate", "200") as process:
        for _ in range(2):
            assert in_time(partial(moved, scene, scene.filled(), process), 90)
            assert process.poll() is None
            kafka_broker.kill()
            kafka_broker.start()
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert scene.state() == [(1, "live"), (2, "candidate")]
    assert scene.differing() == 0


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    embedded._servers.pop(tmp_path / "postgres").stop()


def postmaster(data: Path) -> int:
    """The process of the server."""
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def test_a_server_that_is_killed_is_waited_for(data: Path) -> None:
    url = embedded_postgres(data)
    scene = Scene(url, url, data)
    scene.publish(1, 4_000, batch=20)
    scene.project()
    with scene.rebuilding("--rate", "200", "--processes", "2") as process:
        for _ in range(2):
            assert in_time(partial(moved, scene, scene.filled(), process), 90)
            assert process.poll() is None
            os.kill(postmaster(data), signal.SIGKILL)
            assert embedded_postgres(data) == url
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert scene.state() == [(1, "live"), (2, "candidate")]
    assert scene.differing() == 0
    assert scene.run("replay", "cancel", NAME).returncode == 0


def test_an_embedded_server_that_is_killed_is_started_anew_by_the_one_who_fills(data: Path) -> None:
    url = embedded_postgres(data)
    scene = Scene(url, url, data)
    scene.publish(1, 2_000, batch=20)
    scene.project()
    for address in (settings.LOG, settings.STORE):
        del scene.environment[address]
    with scene.rebuilding("--rate", "400", "--data", str(data)) as process:
        assert in_time(partial(moved, scene, scene.filled(), process), 90)
        os.kill(postmaster(data), signal.SIGKILL)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert scene.state() == [(1, "live"), (2, "candidate")]
    assert scene.differing() == 0
    os.kill(postmaster(data), signal.SIGINT)  # of this one nobody knows any more
