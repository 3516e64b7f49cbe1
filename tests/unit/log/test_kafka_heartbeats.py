"""Heartbeats are quick after a join and seldom afterwards."""

import time

import pytest

from tillroll.log.kafka_group import SETTLING_HEARTBEAT, SETTLING_SECONDS, _EagerHeartbeat

INTERVAL = 1.0


def heartbeat(joined: float, sent: float) -> _EagerHeartbeat:
    """Of a member that joined and sent its last one so many seconds ago."""
    beat = _EagerHeartbeat(heartbeat_interval_ms=int(INTERVAL * 1_000))
    now = time.monotonic()
    beat.last_reset, beat.last_send = now - joined, now - sent
    return beat


@pytest.mark.parametrize(
    ("joined", "sent", "low", "high"),
    [
        (0.0, 0.0, 0.0, SETTLING_HEARTBEAT),
        (5.0, 0.0, 0.0, SETTLING_HEARTBEAT),
        (5.0, SETTLING_HEARTBEAT, 0.0, 0.0),
        (SETTLING_SECONDS + 1, 0.0, 2 * SETTLING_HEARTBEAT, INTERVAL),
        (SETTLING_SECONDS + 1, INTERVAL, 0.0, 0.0),
    ],
)
def test_how_soon_the_next_one_is_due(joined: float, sent: float, low: float, high: float) -> None:
    assert low <= heartbeat(joined, sent).time_to_next_heartbeat() <= high


def test_one_that_failed_is_sent_again_after_a_while_as_ever() -> None:
    beat = heartbeat(0.0, 0.0)
    beat.fail_heartbeat()
    beat.config["retry_backoff_ms"] = 60_000
    assert beat.time_to_next_heartbeat() > SETTLING_SECONDS
