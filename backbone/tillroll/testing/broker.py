"""A Kafka broker on this machine without containers: ``python -m tillroll.testing.broker start|stop``.

Maven fetches Kafka once into `.kafka/libs` of the checkout; Java runs one node in KRaft mode. The tests start
theirs the same way, on ports and in directories of their own.
"""

import argparse
import base64
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from string import Template

from tillroll.errors import ConfigurationError, LogUnavailable, TillrollError

__all__ = ["CHECKOUT", "JavaBroker", "answers", "broker_properties", "free_port", "missing_tools", "wait_for"]

CHECKOUT = Path(__file__).parents[3]
DEPLOY = CHECKOUT / "deploy" / "kafka"
CACHE = CHECKOUT / ".kafka"

# Java's first compiler alone: the second takes a core for minutes after a start, which is as long as such a broker lives.
JAVA_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.apache.logging.log4j.level=WARN",
)
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


def broker_properties(host: str, port: int, controller_port: int, data: str, further: str = "") -> str:
    """The broker's server.properties; `further` lines come after those of deploy/kafka, and win."""
    template = Template((DEPLOY / "server.properties").read_text() + further)
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


def wait_for(address: str, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Return once the broker at `address` answers. Raises LogUnavailable when it does not, or when `goes_on` is false."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(address):
        if time.monotonic() > deadline or not goes_on():
            raise LogUnavailable(f"Kafka did not come up at {address}")
        time.sleep(0.1)


class JavaBroker:
    """A broker in a process of its own. `directory` keeps its data, properties, log and process id.

    further: lines of server.properties, see broker_properties.
    """

    def __init__(self, directory: Path, port: int, further: str = ""):
        self.directory, self.port, self._further = directory, port, further
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Come up, if not up, with the data of last time if there is any; returns once clients are served.

        Raises ConfigurationError without Java and Maven, LogUnavailable when it does not come up.
        """
        if self.is_running():
            return
        libraries = _libraries()
        self.directory.mkdir(parents=True, exist_ok=True)
        data = self._file("data")
        properties = broker_properties("127.0.0.1", self.port, free_port(), data.as_posix(), self._further)
        self._file("server.properties").write_text(properties)
        if not (data / "meta.properties").exists():
            self._format(libraries)
        self._spawn(libraries)
        self._wait()

    def stop(self) -> None:
        """Shut down in order; does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Go down at once. What was acknowledged stays: it is in the operating system's cache."""
        self._end(signal.SIGKILL)

    def discard(self) -> None:
        """Go down for good; whoever made the directory removes it."""
        self.kill()

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._pid() is not None

    def _file(self, name: str) -> Path:
        return self.directory / name

    def _format(self, libraries: Path) -> None:
        """Kafka wants a data directory to be told its cluster first: 16 random bytes in base64url."""
        cluster = base64.urlsafe_b64encode(b"t" + secrets.token_bytes(15)).decode().rstrip("=")
        properties = str(self._file("server.properties"))
        command = [*_java(libraries), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigurationError(f"Kafka cannot make its data directory: {_last_line(done.stderr)}")

    def _spawn(self, libraries: Path) -> None:
        command = [*_java(libraries), "kafka.Kafka", str(self._file("server.properties"))]
        with self._file("server.log").open("ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # outlives the shell it was started from, and its Ctrl-C
            )
        self._file("pid").write_text(str(self._child.pid))

    def _wait(self) -> None:
        try:
            wait_for(self.address, self.is_running)
        except LogUnavailable as error:
            self.kill()
            last = _last_line(self._file("server.log").read_text(errors="replace"))
            raise LogUnavailable(f"{error}: {last} (see {self._file('server.log')})") from None

    def _end(self, how: signal.Signals) -> None:
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, how)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self._file("pid").unlink(missing_ok=True)  # another process may have been faster

    def _pid(self) -> int | None:
        """The process that runs on this directory, whoever started it."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        try:
            pid = int(self._file("pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid if str(self.directory) in _command_of(pid) else None


def _command_of(pid: int) -> str:
    """The command line of a process: the id alone may have gone to another one by now."""
    listed = Path(f"/proc/{pid}/cmdline")
    if listed.exists():
        return listed.read_text()
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _java(libraries: Path) -> list[str]:
    return ["java", *JAVA_OPTIONS, "-cp", str(libraries / "*")]


def _last_line(text: str) -> str:
    """The line that says most: of Java's errors the innermost cause, not the stack below it."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("\t")]
    return lines[-1] if lines else "no output"


def _libraries() -> Path:
    """The folder with Kafka's jars; fetched by Maven when it is not there yet."""
    if missing := missing_tools():
        raise ConfigurationError(f"a Kafka broker takes Java 17 and Maven; missing: {', '.join(missing)}")
    libraries = CACHE / "libs"
    if not libraries.is_dir():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as passing:
            _fetch(Path(passing) / "libs")
            with suppress(OSError):  # another process was faster
                (Path(passing) / "libs").rename(libraries)
    return libraries


def _fetch(target: Path) -> None:
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(DEPLOY / "pom.xml")]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not target.is_dir():
        raise ConfigurationError(f"Maven cannot fetch Kafka: {_last_line(done.stdout + done.stderr)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tillroll.testing.broker", description=__doc__)
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--port", type=int, default=9092, help="port for clients (9092)")
    parser.add_argument("--directory", type=Path, default=CACHE, help="data, log and process id (.kafka)")
    return parser.parse_args()


def main() -> int:
    """Start or stop the broker of this checkout; the exit code."""
    asked = _arguments()
    broker = JavaBroker(asked.directory.resolve(), asked.port)
    try:
        if asked.action == "stop":
            broker.stop()
        elif broker.is_running():
            print(f"Kafka runs already, see {broker.directory}", file=sys.stderr)  # noqa: T201
        else:
            broker.start()
            print(f"Kafka is up: --log kafka://{broker.address}", file=sys.stderr)  # noqa: T201
    except TillrollError as error:
        print(f"tillroll: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
