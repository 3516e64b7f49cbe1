"""A broker is asked whether it is there only when nothing was heard of it for a while."""

import pytest

from tillroll.log.kafka_watch import QUIET_SECONDS, Watch, last_heartbeat

NEVER = float("-inf")


class Clock:
    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0

    def ask(self) -> None:
        self.asked += 1

    def watch(self) -> Watch:
        return Watch(self.ask, lambda: self.now)


def test_heartbeats_are_answer_enough_however_idle_the_topic() -> None:
    clock = Clock()
    watch = clock.watch()
    for _ in range(1_000):
        clock.now += 1.0
        watch.look(False, clock.now - 1.0)
    assert clock.asked == 0


def test_data_is_answer_enough() -> None:
    clock = Clock()
    watch = clock.watch()
    for _ in range(100):
        clock.now += QUIET_SECONDS
        watch.look(True, NEVER)
    assert clock.asked == 0


def test_a_broker_that_answers_is_not_asked_again_for_a_while() -> None:
    clock = Clock()
    watch = clock.watch()
    for _ in range(100):
        clock.now += QUIET_SECONDS / 10
        watch.look(False, NEVER)
    assert clock.asked == 10


def test_silence_without_an_answer_is_an_error_each_time() -> None:
    clock = Clock()

    def ask() -> None:
        raise TimeoutError("no answer")

    watch = Watch(ask, lambda: clock.now)
    clock.now += QUIET_SECONDS - 0.1
    watch.look(False, NEVER)
    clock.now += 0.1
    for _ in range(2):
        with pytest.raises(TimeoutError):
            watch.look(False, NEVER)


def test_a_consumer_that_tells_nothing_of_heartbeats_was_never_heard() -> None:
    assert last_heartbeat(object()) == NEVER
