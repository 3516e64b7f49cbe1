"""Ends of several partitions: kafka-python trips over those whose leader it does not know yet."""

import pytest

from tillroll.errors import LogUnavailable
from tillroll.log.kafka import KafkaLog


def test_it_is_asked_again_until_the_answer_is_whole() -> None:
    left = [KeyError("a"), KeyError("b")]

    def ask() -> dict[str, int]:
        if left:
            raise left.pop()
        return {"a": 1, "b": 2}

    assert KafkaLog("localhost:9")._patiently(ask) == {"a": 1, "b": 2}


def test_but_not_for_ever() -> None:
    def ask() -> dict[str, int]:
        raise KeyError("a")

    log = KafkaLog("localhost:9", timeout=0.1)
    with pytest.raises(LogUnavailable, match="localhost:9"), log._connector.translating():
        log._patiently(ask)
