"""A pytest plugin: a Kafka broker for tests. ``pytest_plugins = ["tillroll.testing.kafka"]``.

Which one: what TILLROLL_TEST_KAFKA names (host:port); else one in Docker, where an engine answers; else one in a
Java process, fetched by Maven. With none of these the tests that need it are skipped, and say what to install;
with TILLROLL_REQUIRE_KAFKA=1 they fail.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest

from tillroll.testing.broker import JavaBroker, answers, broker_properties, free_port, missing_tools, wait_for

__all__ = ["REQUIRED", "SERVER", "Broker", "give_up", "kafka_address", "kafka_broker"]

SERVER = "TILLROLL_TEST_KAFKA"
REQUIRED = "TILLROLL_REQUIRE_KAFKA"

IMAGE = "apache/kafka:4.3.1"
CONTROLLER_PORT = 29093  # inside the container, where nothing else listens


class Broker(Protocol):
    """A broker that a test may restart."""

    @property
    def address(self) -> str:
        """host:port, the same after every start."""
        ...

    def start(self) -> None:
        """Come up with the data of last time, if not up; returns once clients are served."""
        ...

    def stop(self) -> None:
        """Shut down in order."""
        ...

    def kill(self) -> None:
        """Go down at once."""
        ...

    def discard(self) -> None:
        """Go down for good; its data may go."""
        ...


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    """host:port of a Kafka broker that is up for the whole run."""
    if address := os.environ.get(SERVER):
        if not answers(address, timeout=10):
            pytest.fail(f"{SERVER} names {address}, but no Kafka broker answers there")
        yield address
        return
    with _running_broker() as broker:
        yield broker.address


@pytest.fixture(scope="session")
def _restartable_broker() -> Iterator[Broker]:
    with _running_broker() as broker:
        yield broker


@pytest.fixture
def kafka_broker(_restartable_broker: Broker) -> Broker:
    """A broker to be stopped, killed and started again: up, and not the one of `kafka_address`."""
    _restartable_broker.start()
    return _restartable_broker


@contextmanager
def _running_broker() -> Iterator[Broker]:
    """A broker on a port of its own, up; gone afterwards with its data."""
    broker = _docker_broker()
    with tempfile.TemporaryDirectory(prefix="tillroll-kafka-", ignore_cleanup_errors=True) as directory:
        broker = broker or _java_broker(Path(directory))
        if broker is None:
            give_up()
        try:
            broker.start()
            yield broker
        finally:
            broker.discard()


def give_up() -> NoReturn:
    """Skip the test, or fail it if Kafka is required: there is no broker and no way to start one."""
    message = f"no Kafka: set {SERVER}=host:port, or start Docker, or install Java 17 and Maven"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{message} ({REQUIRED}=1 asks for it)")
    pytest.skip(message)


def _java_broker(directory: Path) -> Broker | None:
    return None if missing_tools() else JavaBroker(directory, free_port())


def _docker_broker() -> Broker | None:
    """None unless an engine answers. Asked by its command: the Python client leaves sockets open when there is none."""
    if shutil.which("docker") is None:
        return None
    asked = subprocess.run(["docker", "version"], capture_output=True, check=False)
    return _DockerBroker(free_port()) if asked.returncode == 0 else None


class _DockerBroker:
    """A broker in a container; clients reach it on the same port as it listens on inside."""

    def __init__(self, port: int):
        from testcontainers.core.container import DockerContainer

        settings = broker_properties("0.0.0.0", port, CONTROLLER_PORT, "/tmp/kafka-data")
        self.address = f"127.0.0.1:{port}"
        self._image = DockerContainer(IMAGE).with_bind_ports(port, port).with_envs(**_as_variables(settings))
        self._container: Any = None

    def start(self) -> None:
        if self._container is None:
            self._container = self._image.start().get_wrapped_container()
        else:
            self._container.start()
        wait_for(self.address)

    def stop(self) -> None:
        self._container.stop()

    def kill(self) -> None:
        self._container.kill()

    def discard(self) -> None:
        self._image.stop()


def _as_variables(properties: str) -> dict[str, str]:
    """Broker settings as the image takes them: ``log.dirs`` is KAFKA_LOG_DIRS."""
    settings = (line.split("=", 1) for line in properties.splitlines() if line and not line.startswith("#"))
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings}
