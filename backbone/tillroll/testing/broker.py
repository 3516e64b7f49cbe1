"""A Kafka broker on this machine without containers: ``python -m tillroll.testing.broker start|stop``.

Maven fetches Kafka once into `.kafka/libs` of the checkout; Java runs one node in KRaft mode. The tests start
theirs the same way, on ports and in directories of their own.
"""

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from tillroll.errors import ConfigurationError, LogUnavailable, TillrollError

__all__ = ["CHECKOUT", "JavaBroker", "answers", "broker_properties", "free_port", "missing_tools"]

CHECKOUT = Path(__file__).parents[3]
DEPLOY = CHECKOUT / "deploy" / "kafka"
CACHE = CHECKOUT / ".kafka"

JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-Dorg.apache.logging.log4j.level=WARN")
CLUSTER_ID = "dGlsbHJvbGwtdGVzdGluZw"  # 16 bytes in base64url, as Kafka wants them; a new one is drawn per data directory
START_SECONDS = 60.0  # takes 2 to 4; a busy machine may take much longer
STOP_SECONDS = 20.0


def missing_tools() -> list[str]:
    """What this machine lacks to run a broker; empty when nothing."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if (CACHE / "libs").is_dir() and "mvn" in missing:
        missing.remove("mvn")  # fetched before
    return missing if DEPLOY.is_dir() else [*missing, "a checkout of tillroll with deploy/kafka"]


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def broker_properties(host: str, port: int, controller_port: int, data: str) -> str:
    """The broker's server.properties."""
    template = Template((DEPLOY / "server.properties").read_text())
    return template.substitute(host=host, port=port, controller_port=controller_port, data=data)


def answers(address: str, timeout: float = 1.0) -> bool:
    """Whether the broker at `address` (host:port) is up: it answers a Metadata request and lists itself.

    Asked in plain bytes (request 3, version 0, no topics), so that it takes no client to know.
    """
    host, port = address.rsplit(":", 1)
    request = struct.pack(">hhihi", 3, 0, 1, -1, 0)
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(request)) + request)
            reply = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(reply) == 12 and bool(struct.unpack(">iii", reply)[2] > 0)


class JavaBroker:
    """A broker in a process of its own. `directory` keeps its data, properties, log and process id."""

    def __init__(self, directory: Path, port: int):
        self.directory, self.port = directory, port

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Come up, with the data of last time if there is any; returns once clients are served.

        Raises ConfigurationError without Java and Maven, LogUnavailable when it does not come up.
        """
        libraries = _libraries()
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = broker_properties("127.0.0.1", self.port, free_port(), str(self.directory / "data"))
        self._file("server.properties").write_text(properties)
        if not self._file("data").exists():
            self._format(libraries)
        with self._file("server.log").open("ab") as log:
            process = subprocess.Popen(
                [*_java(libraries), "kafka.Kafka", str(self._file("server.properties"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
            )  # fmt: skip
        self._file("pid").write_text(str(process.pid))
        self._wait(process)

    def stop(self) -> None:
        """Shut down in order; does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Go down at once, as when the machine loses power; what was acknowledged is in the system's cache."""
        self._end(signal.SIGKILL)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._pid() is not None

    def _file(self, name: str) -> Path:
        return self.directory / name

    def _format(self, libraries: Path) -> None:
        made = _java(libraries) + ["kafka.tools.StorageTool"]
        drawn = subprocess.run([*made, "random-uuid"], capture_output=True, text=True, check=True)
        subprocess.run(
            [*made, "format", "-t", drawn.stdout.strip(), "-c", str(self._file("server.properties"))],
            check=True, capture_output=True,
        )  # fmt: skip
