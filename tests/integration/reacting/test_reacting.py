"""Reactors act on live events, once by their ledger, and stay silent in replay."""

from collections.abc import Collection, Iterator, Sequence

import pytest
from tests.integration.projector.admission import CONTRACT, admit, put, received

from tillroll.errors import StoreUnavailable, UsageError
from tillroll.log.memory import MemoryLog
from tillroll.log.port import EventLog
from tillroll.log.postgres import PostgresLog
from tillroll.reactor import Reaction
from tillroll.services.admission.admitter import Admitter
from tillroll.services.reacting.runner import Reacted, ReactorRunner
from tillroll.store.postgres import PostgresStore
from tillroll.testing.unsettled import UnsettledLog


class Recorder:
    """A reactor that remembers; `fails` once before or after it did its work."""

    name = "recorder"

    def __init__(self) -> None:
        self.acts: list[tuple[int, bool]] = []
        self.passed: list[int] = []
        self.fail_before = self.fail_after = False

    def records(self) -> Collection[str]:
        return ["StockReceived"]

    def act(self, reactions: Sequence[Reaction]) -> None:
        if self.fail_before:
            raise StoreUnavailable("before")
        self.acts += [(each.event.fields()["quantity"], each.again) for each in reactions]
        if self.fail_after:
            raise StoreUnavailable("after")

    def pass_over(self, reactions: Sequence[Reaction]) -> None:
        self.passed += [each.event.fields()["quantity"] for each in reactions]


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@pytest.fixture(params=["memory", "postgres"])
def log(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[EventLog]:
    log: EventLog = MemoryLog() if request.param == "memory" else PostgresLog(postgres_url)
    log.create_topics(CONTRACT.topics.values())
    yield log
    log.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def start(recorder: Recorder, log: EventLog, store: PostgresStore) -> ReactorRunner:
    return ReactorRunner(recorder, log, store, CONTRACT)


def through(runner: ReactorRunner) -> Reacted:
    found = Reacted()
    while (step := runner.step()) != Reacted():
        found += step
    return found


def test_the_past_is_no_reason_to_act(log: EventLog, store: PostgresStore, recorder: Recorder) -> None:
    put(log, 0, received(1))
    runner = start(recorder, log, store)
    put(log, 0, received(2), received(3))
    put(log, 1, received(4))
    assert through(runner) == Reacted(acted=3)
    runner.close()
    assert recorder.acts == [(2, False), (3, False), (4, False)]


def test_training_is_not_acted_on(log: EventLog, store: PostgresStore, recorder: Recorder) -> None:
    runner = start(recorder, log, store)
    put(log, 0, received(1).model_copy(update={"training": True}), received(2))
    through(runner)
    runner.close()
    assert recorder.acts == [(2, False)]


def test_it_goes_on_where_it_was(log: EventLog, store: PostgresStore, recorder: Recorder) -> None:
    runner = start(recorder, log, store)
    put(log, 0, received(1))
    through(runner)
    runner.close()
    put(log, 0, received(2))
    runner = start(recorder, log, store)
    through(runner)
    runner.close()
    assert recorder.acts == [(1, False), (2, False)]


def test_replay_is_told_and_never_acted_on(log: EventLog, store: PostgresStore, recorder: Recorder) -> None:
    put(log, 0, received(1))
    runner = start(recorder, log, store)
    put(log, 0, received(2))
    through(runner)
    runner.replay()
    put(log, 0, received(3))
    assert through(runner) == Reacted(acted=1, passed=2)
    runner.close()
    assert recorder.acts == [(2, False), (3, False)]
    assert recorder.passed == [1, 2]


def test_an_event_that_was_published_but_not_read_before_a_replay_stays_live(
    log: EventLog, store: PostgresStore, recorder: Recorder
) -> None:
    runner = start(recorder, log, store)
    put(log, 0, received(1))
    runner.replay()
    assert through(runner) == Reacted(acted=1)
    runner.close()


@pytest.mark.parametrize(("when", "acts"), [("before", [(1, True)]), ("after", [(1, False), (1, True)])])
def test_what_was_interrupted_comes_again_and_says_so(
    log: EventLog, store: PostgresStore, recorder: Recorder, when: str, acts: list[tuple[int, bool]]
) -> None:
    runner = start(recorder, log, store)
    put(log, 0, received(1))
    setattr(recorder, f"fail_{when}", True)
    with pytest.raises(StoreUnavailable, match=when):
        runner.step()
    runner.close()
    setattr(recorder, f"fail_{when}", False)
    runner = start(recorder, log, store)
    through(runner)
    runner.close()
    assert recorder.acts == acts


def test_one_process_runs_a_reactor(log: EventLog, store: PostgresStore, recorder: Recorder) -> None:
    runner = start(recorder, log, store)
    with pytest.raises(UsageError, match="runs already"):
        start(recorder, log, store)
    runner.close()
    start(recorder, log, store).close()


def test_duplicates_on_a_log_that_takes_them_are_acted_on_once(
    store: PostgresStore, recorder: Recorder
) -> None:
    log = UnsettledLog()
    log.create_topics(CONTRACT.topics.values())
    store.bind(log.identity)
    runner, admitter = start(recorder, log, store), Admitter(log, store, CONTRACT)
    same = received(1)
    put(log, 0, same, same)
    assert through(runner) == Reacted()  # nothing is admitted yet
    admit(admitter)
    put(log, 0, same, received(2))
    admit(admitter)
    through(runner)
    runner.close()
    admitter.close()
    assert recorder.acts == [(1, False), (2, False)]
