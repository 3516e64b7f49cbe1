"""Projectors that share the work, are killed and come again: the rows are those of an undisturbed run."""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.acceptance.history.conftest import Frames
from tests.acceptance.history.events import Encoded, encoded
from tests.acceptance.history.place import Place
from tests.acceptance.history.rows import Rows, assert_same_rows
from tests.topics import end_sessions

from tillroll.projection.registry import load_projections

KILLS = 10
SLICE, PAUSE = 25, 0.1  # events that arrive at a time, and seconds between
PATIENCE = 60.0

Process = subprocess.Popen[str]


class Arriving:
    """Events that arrive little by little, those of a round, until the next round is asked for."""

    def __init__(self, events: Sequence[Encoded], rounds: int):
        self.slices = [events[at : at + SLICE] for at in range(0, len(events), SLICE)]
        self._a_round = len(self.slices) // (rounds + 1)
        self._kept_back = len(self.slices)
        self.next_round()

    def next_round(self) -> None:
        """Let more arrive."""
        self._kept_back = max(1, self._kept_back - self._a_round)

    def take(self) -> Sequence[Encoded]:
        """What arrives now."""
        return self.slices.pop(0) if len(self.slices) > self._kept_back else []


@contextmanager
def arriving(place: Place, events: Sequence[Encoded], rounds: int = 1) -> Iterator[Arriving]:
    """Have `events` arrive meanwhile, and the rest of them at the end."""
    coming, over = Arriving(events, rounds), threading.Event()

    def feed() -> None:
        with place.appending() as append:
            while not over.is_set():
                if part := coming.take():
                    append(part, SLICE)
                over.wait(PAUSE)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield coming
    finally:
        over.set()
        feeder.join()
    place.append([event for part in coming.slices for event in part], 5_000)


@contextmanager
def running(place: Place, *arguments: str) -> Iterator[Process]:
    """A `tillroll project` process; killed at the end if it still runs."""
    process = place.start("project", *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def done(place: Place) -> int:
    """How many events the read models stand for by now, all of them together."""
    with place.store() as store:
        return sum(sum(store.positions(each).values()) for each in load_projections().values())


def wait_until(reached: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert process.poll() is None, f"the process ended: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing moves any more"
        time.sleep(0.05)


def bury(place: Place) -> None:
    """Have Kafka forget members that were killed."""
    if place.is_kafka:
        names = [*(projection.schema() for projection in load_projections().values()), "tillroll_admission"]
        with place.store() as store:
            end_sessions(place.log_address.removeprefix("kafka://"), [store.group(name) for name in names])


def test_killed_at_random_moments(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    """Each process lives until it has committed something, and then up to a second more."""
    events = encoded(mixture)
    random.shuffle(events)
    killed_at = [0]
    with arriving(place, events, KILLS) as coming:
        for _ in range(KILLS):
            coming.next_round()
            with running(place) as process:
                wait_until(lambda: done(place) > killed_at[-1], process)
                time.sleep(random.uniform(0, 1))
            killed_at.append(done(place))
            bury(place)
    place.tillroll("project", "--once")
    assert done(place) > killed_at[-1]
    assert_same_rows(place.rows(), mixture_rows)


def test_one_of_two_members_is_killed(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    """The other one takes over what it had, and ends cleanly when asked to."""
    with running(place) as first, running(place) as second:
        with arriving(place, encoded(mixture)):
            wait_until(lambda: done(place) > 0, first)
            time.sleep(2)
            before = done(place)
            first.kill()
            wait_until(lambda: done(place) > before, second)
        ends = place.ends()
        wait_until(lambda: done(place) == ends, second)
        second.terminate()
        assert second.wait(30) == 0
    assert_same_rows(place.rows(), mixture_rows)


def test_two_processes_share_one_group(place: Place, mixture: Frames, mixture_rows: Rows) -> None:
    place.publish(mixture)
    with running(place, "--once") as first, running(place, "--once") as second:
        ended = [process.communicate(timeout=PATIENCE) for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), ended
    assert_same_rows(place.rows(), mixture_rows)
