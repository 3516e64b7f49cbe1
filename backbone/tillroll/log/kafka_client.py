"""Opening kafka-python's clients, and its errors as tillroll's."""

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from tillroll.errors import (
    AccessRefused,
    ConfigurationError,
    LogUnavailable,
    MalformedEvent,
    PositionOutOfRange,
    TillrollError,
    TopicMissing,
    UsageError,
)

__all__ = ["RETRY_SECONDS", "Connector", "translated"]

OLDEST_BROKER = (2, 1)  # the first with zstd
CONNECT_SECONDS = 10.0
LAST_PORT = 65_535
RETRY_SECONDS = 0.05
METADATA_MILLISECONDS = (
    20  # kafka-python waits 100 between two questions, also before the first one about a topic
)

_T = TypeVar("_T")

# kafka-python reports every retry; what matters reaches the caller as an error. Whoever configures logging sees
# them all the same, but nobody else finds them on stderr.
logging.getLogger("kafka").addHandler(logging.NullHandler())

_REFUSED = (
    errors.AuthorizationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.SecurityDisabledError,
)
_WRONG = (
    errors.UnsupportedVersionError,
    errors.UnrecognizedBrokerVersion,
    errors.KafkaConfigurationError,
    errors.UnsupportedCodecError,
    errors.InvalidGroupIdError,
    errors.InconsistentGroupProtocolError,
    errors.PolicyViolationError,
    errors.InvalidConfigurationError,
    errors.InvalidReplicationFactorError,
)


class _ClosingSocket(KafkaNetSocket):  # type: ignore[misc]
    """kafka-python 3.0.12 leaves the socket open after an attempt to connect that fails; here it is closed.

    It asks for a way to connect by the scheme of a proxy's URL; this one is no proxy.
    """

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: Any = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _Connections(KafkaConnectionManager):  # type: ignore[misc]
    """Keeps the reason why the first connection is refused, which kafka-python 3.0.12 loses twice.

    A broker says no and hangs up at once; what arrives together with the end of the connection is thrown away
    there. And the reason never gets to the place where the next attempt looks for it, so that in the end a timeout
    is reported.
    """

    async def _build_transport(self, *settings: Any, **named: Any) -> Any:
        transport = await super()._build_transport(*settings, **named)
        receive = transport._sock_recv

        def receive_all() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error  # the end shows again with the next read

        transport._sock_recv = receive_all
        return transport

    def get_connection(self, node_id: Any, *settings: Any, **named: Any) -> Any:
        connection = super().get_connection(node_id, *settings, **named)
        if self.cluster.is_bootstrap(node_id):
            connection.init_future.add_errback(lambda error: self._remember(node_id, error))
        return connection

    def _remember(self, node_id: Any, error: Exception) -> None:
        if isinstance(error, _REFUSED):
            self._net.call_soon(lambda: self._auth_failures.update({node_id: error}))


class Connector:
    """Makes clients of one Kafka cluster.

    address: host:port, several with commas. options: kafka-python's own, given to every client (security_protocol,
    sasl_mechanism, ssl_cafile, ...). Raises UsageError where the address cannot be one.
    """

    def __init__(self, address: str, timeout: float, options: Mapping[str, Any]):
        self.address, self.timeout = address, timeout
        self._servers = [server.strip() for server in address.split(",")]
        self._places = [_place(server, address) for server in self._servers]
        self._options = dict(options)

    def open(self, kind: Callable[..., Any], **config: Any) -> Any:
        """A client of class `kind`, connected. Raises LogUnavailable, AccessRefused, ConfigurationError."""
        self._knock()
        made: list[Any] = []

        def network(**settings: Any) -> Any:
            net = NetworkSelector(**settings)
            connections = _Connections(net, **settings)
            connections.cluster.config["retry_backoff_ms"] = METADATA_MILLISECONDS  # no option of a client's
            made.append(KafkaNetClient(net, connections, **settings))
            return made[-1]

        settings = {
            "bootstrap_servers": self._servers,
            "bootstrap_timeout_ms": int(min(self.timeout, CONNECT_SECONDS) * 1000),
            "request_timeout_ms": int(self.timeout * 500),
            "reconnect_backoff_max_ms": 1000,
            "proxy_url": f"{_ClosingSocket.SCHEMES[0]}://",
            "kafka_client": network,
        }
        with self.translating():
            try:
                client = kind(**settings | config | self._options)
            except Exception:
                for network_client in made:  # a client that fails to open leaves its thread running
                    network_client.close()
                raise
        self._refuse_old(made[0])
        return client

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn kafka-python's errors into tillroll's."""
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            raise translated(error, self.address) from error

    def retrying(self, ask: Callable[[], _T]) -> _T:
        """The answer to `ask`, whose passing failures are tried again until the timeout."""
        deadline = time.monotonic() + self.timeout
        while True:
            with self.translating():
                try:
                    return ask()
                except errors.RetriableError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(RETRY_SECONDS)

    def _knock(self) -> None:
        """Say at once that nobody listens, instead of after all of kafka-python's attempts."""
        if "proxy_url" in self._options:
            return
        for place in self._places:
            try:
                socket.create_connection(place, CONNECT_SECONDS).close()
            except OSError as error:
                refusal = error
            else:
                return
        raise translated(refusal, self.address) from refusal

    def _refuse_old(self, network_client: Any) -> None:
        version = getattr(network_client._manager, "broker_version", None)
        if version is not None and version < OLDEST_BROKER:
            found, needed = (".".join(map(str, v)) for v in (version, OLDEST_BROKER))
            network_client.close()
            raise ConfigurationError(
                f"Kafka at {self.address} is version {found}; tillroll needs {needed} or newer"
            )


def _place(server: str, address: str) -> tuple[str, int]:
    """Host and port of one of the servers of `address`."""
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
        raise UsageError(
            f"{address!r} is no address of Kafka; it is host:port[,host:port], with ports from 1 to {LAST_PORT}"
        )
    return host.strip("[]"), int(port)


def translated(error: Exception, address: str) -> TillrollError:
    """tillroll's error for kafka-python's (or the system's): what, where and what to do."""
    if isinstance(error, errors.UnknownTopicOrPartitionError | errors.InvalidTopicError):
        return TopicMissing(f"Kafka at {address} has no such topic or partition: {error}")
    if isinstance(error, _REFUSED):
        return AccessRefused(
            f"Kafka at {address} refuses access: {error}; check the credentials and the rights of their user"
        )
    if isinstance(error, _WRONG):
        return ConfigurationError(f"Kafka at {address} cannot be used like this: {error}")
    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        return MalformedEvent(
            f"Kafka at {address} takes no record of that size: {error}; raise max.message.bytes of the topic"
        )
    if isinstance(error, errors.CorruptRecordError):
        return MalformedEvent(
            f"Kafka at {address}: {error}; the log is damaged there, restore it from a replica"
        )
    if isinstance(error, errors.LogTruncationError):
        return PositionOutOfRange(f"Kafka at {address} lost records that were read before: {error}")
    return LogUnavailable(
        f"Kafka at {address} does not answer: {error}; see that it runs and that the address is right"
    )
