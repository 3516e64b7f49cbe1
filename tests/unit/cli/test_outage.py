"""Several workers notice that the store is down; it is told once, and once when it is over."""

from tillroll.errors import StoreUnavailable, TillrollError
from tillroll.services.projector.listening import Outage, Silent

DOWN = StoreUnavailable("the store does not answer")


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[object] = []

    def waiting(self, error: TillrollError) -> None:
        self.notes.append(error)

    def resumed(self, seconds: float) -> None:
        self.notes.append(seconds)


def outage() -> tuple[Outage, list[object]]:
    notes, times = Notes(), iter(range(10, 100, 10))
    return Outage(notes, lambda: float(next(times))), notes.notes


def test_the_first_to_wait_and_the_last_to_go_on_are_told() -> None:
    down, notes = outage()
    down.begins("a", DOWN)
    down.begins("b", DOWN)
    down.begins("a", DOWN)
    down.ends("a")
    down.ends("c")
    assert notes == [DOWN]
    down.ends("b")
    assert notes == [DOWN, 10.0]


def test_the_next_outage_is_told_again() -> None:
    down, notes = outage()
    for _ in range(2):
        down.begins("a", DOWN)
        down.ends("a")
    assert notes == [DOWN, 10.0, DOWN, 10.0]


def test_who_gives_up_does_not_go_on() -> None:
    down, notes = outage()
    down.begins("a", DOWN)
    down.gives_up("a")
    assert notes == [DOWN]
    down.ends("a")
    assert notes == [DOWN]
