"""The summary of `tillroll project` names every model, and those that stopped as what they are."""

from tillroll.cli.project import Projected
from tillroll.errors import TillrollError
from tillroll.services.projector.listening import Done
from tillroll.services.projector.runner import ADMISSION, TIDYING

BROKEN = TillrollError("mend the handler")


def states(*results: Done) -> dict[str, str]:
    return {row.projection: row.state for row in Projected.of(list(results)).projections}


def test_a_model_that_failed_is_in_the_table_as_such() -> None:
    summary = Projected.of([Done("sales", 10, 0, 2.0), Done("stock", 4, 1, 2.0, BROKEN)])
    assert [line.split() for line in summary.text()][2:] == [
        ["sales", "ended", "10", "0", "5"],
        ["stock", "failed", "4", "1", "2"],
    ]
    assert [row.error for row in summary.projections] == [None, "mend the handler"]
    assert summary.exit_code == 1


def test_models_that_could_not_read_on_since_admission_failed_are_stalled() -> None:
    assert states(Done("sales", 10), Done(ADMISSION, error=BROKEN)) == {
        "sales": "stalled",
        ADMISSION: "failed",
    }


def test_a_failure_of_tidying_stalls_nobody() -> None:
    assert states(Done("sales"), Done(TIDYING, error=BROKEN)) == {"sales": "ended", TIDYING: "failed"}


def test_helpers_that_did_their_work_are_not_told() -> None:
    summary = Projected.of([Done("sales"), Done(ADMISSION), Done(TIDYING)])
    assert [row.projection for row in summary.projections] == ["sales"]
    assert summary.exit_code == 0
