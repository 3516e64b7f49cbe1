"""What goes wrong is said in tillroll's words: what, where, what to do."""

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition as KafkaTopicPartition
from kafka import errors

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
from tillroll.log.kafka import KafkaLog
from tillroll.log.kafka_client import translated
from tillroll.log.port import TopicPartition
from tillroll.testing.broker import JavaBroker, free_port, missing_tools
from tillroll.testing.kafka import give_up
from tillroll.testing.log_contract import Member, record, topic_spec, until

pytestmark = pytest.mark.kafka

PASSWORDS = """
listeners=PLAINTEXT://$host:$port,CONTROLLER://$host:$controller_port,GUARDED://$host:{port}
advertised.listeners=PLAINTEXT://$host:$port,GUARDED://$host:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
 user_till="right" user_guest="guest";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:till;User:ANONYMOUS
"""


@pytest.fixture
def topic(log: KafkaLog) -> str:
    name = f"refuse-{uuid.uuid4().hex[:10]}"
    log.create_topics([topic_spec(name, 1)])
    return name


@pytest.fixture
def shortened(log: KafkaLog, topic: str, admin: Any) -> TopicPartition:
    """A partition that held offsets 0 to 10 and has forgotten those below 6."""
    for n in range(10):
        log.append(topic, 0, [record(f"{n}")])
    admin.delete_records({KafkaTopicPartition(topic, 0): 6})
    return TopicPartition(topic, 0)


def test_offsets_that_retention_has_taken_are_refused(log: KafkaLog, shortened: TopicPartition) -> None:
    assert log.start_offset(shortened) == 6
    for _ in range(2):  # the second time the end is known
        with pytest.raises(PositionOutOfRange, match="holds offsets 6 to 10, not 3"):
            log.read(shortened, 3)
    assert sum(batch.count for batch in log.read(shortened, 6)) == 4


def test_what_was_lost_is_not_held_any_more(log: KafkaLog, topic: str) -> None:
    """Though nobody was told so far; to pause, to resume or to seek there would be refused."""
    origin = TopicPartition(topic, 0)
    member = Member(log, [topic], f"group-{uuid.uuid4()}")
    until(lambda: member.assignment == {origin}, [member], "assigned")
    member.subscription._reader.lost.add(origin)  # type: ignore[attr-defined]
    assert member.assignment == set()
    member.subscription.close()
    assert member.revoked == {origin}


def test_an_end_that_was_seen_and_holds_no_more_is_asked_for_again(kafka_address: str, topic: str) -> None:
    """As after a topic was made anew: the events between are lost, and nothing comes."""
    hasty, origin = KafkaLog(kafka_address, timeout=2.0), TopicPartition(topic, 0)
    hasty.append(topic, 0, [record("kept")])
    hasty._ends[origin] = 9
    assert hasty.read(origin, 1) == []
    hasty.close()


def test_a_member_is_told_what_is_missing(log: KafkaLog, shortened: TopicPartition) -> None:
    member = Member(log, [shortened.topic], f"group-{uuid.uuid4()}", {shortened: 3})
    with pytest.raises(PositionOutOfRange, match="holds offsets 6 to 10, not 3"):
        until(lambda: False, [member], "refusal")
    member.subscription.seek(shortened, 6)
    until(lambda: len(member.rows) == 4, [member], "what is left")
    member.subscription.close()


def test_a_missing_topic_cannot_be_subscribed_to(log: KafkaLog) -> None:
    with pytest.raises(TopicMissing, match="no-such-topic"):
        Member(log, ["no-such-topic"], "group")


def test_a_record_beyond_the_limit_is_refused(log: KafkaLog, topic: str) -> None:
    with pytest.raises(MalformedEvent, match=r"max\.message\.bytes"):
        log.append(topic, 0, [record(b"".join(uuid.uuid4().bytes for _ in range(80_000)))])
    log.append(topic, 0, [record("small")])
    assert log.end_offset(TopicPartition(topic, 0)) == 1


def test_an_address_where_nobody_listens_is_named_at_once() -> None:
    address = f"127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match=address):
        KafkaLog(address).partitions("orders")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "address", ["", "nowhere", "host:port", "a.b:9092,c", ":9092", "a:0", "a:65536", "a:²"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_opened(address: str) -> None:
    with pytest.raises(UsageError, match=f"'{address}' is no address of Kafka"):
        KafkaLog(address)


def test_the_client_is_silent_on_stderr() -> None:
    script = (
        "import sys; from tillroll.log.kafka import KafkaLog; from tillroll.errors import LogUnavailable\n"
        "import kafka.errors, logging; logging.getLogger('kafka.net').error('chatter')\n"
        "try: KafkaLog(sys.argv[1], timeout=2).partitions('orders')\n"
        "except LogUnavailable: print('unavailable')"
    )
    command = [sys.executable, "-c", script, f"127.0.0.1:{free_port()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("unavailable\n", "")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.UnsupportedVersionError("Fetch"), ConfigurationError),
        (errors.IncompatibleBrokerVersion("0.10"), ConfigurationError),
        (errors.TopicAuthorizationFailedError({"orders"}), AccessRefused),
        (errors.SaslAuthenticationFailedError("no"), AccessRefused),
        (errors.CorruptRecordError("crc"), MalformedEvent),
        (errors.UnknownTopicOrPartitionError("orders"), TopicMissing),
        (errors.KafkaTimeoutError("slow"), LogUnavailable),
        (ConnectionRefusedError("no"), LogUnavailable),
    ],
)
def test_errors_keep_what_where_and_why(error: Exception, kind: type[TillrollError]) -> None:
    told = translated(error, "till.example:9092")
    assert type(told) is kind
    assert "till.example:9092" in str(told)
    assert str(error.args[0]).strip("{}'") in str(told)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The address of a broker that wants a name and a password."""
    if missing_tools():
        give_up()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tillroll-kafka-", ignore_cleanup_errors=True) as directory:
        broker = JavaBroker(Path(directory), free_port(), PASSWORDS.format(port=port))
        try:
            broker.start()
            yield f"127.0.0.1:{port}"
        finally:
            broker.discard()


def _as(address: str, user: str, password: str) -> KafkaLog:
    return KafkaLog(
        address,
        timeout=6,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username=user,
        sasl_plain_password=password,
    )


def test_a_wrong_password_is_refused(guarded: str) -> None:
    log = _as(guarded, "till", "wrong")
    with pytest.raises(AccessRefused, match=guarded):
        log.partitions("orders")
    log.close()


def test_missing_rights_are_refused(guarded: str) -> None:
    owner, guest = _as(guarded, "till", "right"), _as(guarded, "guest", "guest")
    owner.create_topics([topic_spec("orders", 1)])
    assert owner.append("orders", 0, [record("kept")])
    with pytest.raises(AccessRefused):
        guest.create_topics([topic_spec("returns", 1)])
    with pytest.raises(AccessRefused):
        guest.append("orders", 0, [record("refused")])
    owner.close()
    guest.close()
