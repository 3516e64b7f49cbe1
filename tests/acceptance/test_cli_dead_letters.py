"""What cannot be applied: kept with its reason, retried once the handler is mended, or discarded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tillroll import settings
from tillroll.events import event_id_for
from tillroll.log.port import Record
from tillroll.log.postgres import PostgresLog

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

PICKY = '''
import polars as pl

from tillroll.events import StockReceived
from tillroll.projection import Frame, Key, Projection, Sum, on


class Picky(Projection):
    """Units received."""

    sku: Key[str]
    units: Sum[int]

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All but hats."""
        if len(events.filter(sku="hat")):
            raise LookupError("no hats here")
        return events.select("sku", units="quantity")
'''


@pytest.fixture
def failed(tillroll: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tillroll:
    """Three events projected, one of which the handler raises on."""
    (tmp_path / "picky.py").write_text(PICKY)
    monkeypatch.setenv(settings.PROJECTIONS, str(tmp_path))
    lines = [
        json.dumps(
            {
                "type": "StockReceived",
                "event_id": event_id_for("test", "StockReceived", sku),
                "source": "wms",
                "channel": "warehouse",
                "occurred_at": "2026-03-14T09:30:00Z",
                "sku": sku,
                "location_id": "store-7",
                "quantity": 2,
            }
        )
        for sku in ("shoe", "hat", "glove")
    ]
    tillroll("publish", "-", input="\n".join(lines))
    tillroll("project", "picky", "--once")
    return tillroll


def letters(tillroll: Tillroll, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(tillroll("dead-letters", "list", *args, "--json").stdout)
    return found


def test_an_event_whose_handler_raises_is_kept_and_the_rest_is_applied(failed: Tillroll, rows: Rows) -> None:
    assert [row["sku"] for row in rows("picky")] == ["glove", "shoe"]
    (letter,) = letters(failed)
    assert (letter["projection"], letter["topic"], letter["record"]) == ("picky", "stock", "StockReceived")
    assert (letter["error"], letter["message"]) == ("LookupError", "no hats here")
    assert letter["event_id"] == event_id_for("test", "StockReceived", "hat")
    assert "no hats here" in failed("dead-letters", "list", "picky").stdout
    assert letters(failed, "products") == []


def test_a_dead_letter_is_shown_with_its_traceback(failed: Tillroll) -> None:
    (letter,) = letters(failed)
    shown = failed("dead-letters", "show", letter["id"]).stdout
    assert 'raise LookupError("no hats here")' in shown
    told = json.loads(failed("dead-letters", "show", letter["id"], "--json").stdout)
    assert (told.pop("event")["type"], told) == ("StockReceived", letter)


def test_a_retry_that_fails_again_leaves_it_and_says_so(failed: Tillroll, rows: Rows) -> None:
    (letter,) = letters(failed)
    result = failed("dead-letters", "retry", letter["id"], code=1)
    assert f"{letter['id']} stays: still fails: LookupError: no hats here" in result.stdout
    assert letters(failed) == [letter]
    assert len(rows("picky")) == 2


def test_a_retry_after_the_handler_was_mended_applies_it_once(
    failed: Tillroll, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "picky.py").write_text(PICKY.replace('sku="hat"', 'sku="cap"'))
    told = failed("dead-letters", "retry", "--all", code=1).stdout
    assert "handler received changed since: --mended applies it by the code at hand" in told
    assert "1 dead letter applied, 0 left" in failed("dead-letters", "retry", "--all", "--mended").stdout
    assert letters(failed) == []
    assert rows("picky", "sku=hat") == [{"sku": "hat", "units": 2}]
    assert "0 dead letters applied" in failed("dead-letters", "retry", "--all").stdout
    assert rows("picky", "sku=hat") == [{"sku": "hat", "units": 2}]


def test_what_was_mended_is_what_the_version_goes_on_by(failed: Tillroll, rows: Rows, tmp_path: Path) -> None:
    mended = PICKY.replace('sku="hat"', 'sku="cap"')
    (tmp_path / "picky.py").write_text(mended)
    failed("dead-letters", "retry", "--all", "--mended")
    assert "goes on by its own code" not in failed("project", "picky", "--once").stderr
    assert "version 1 of picky holds" in failed("verify", "picky").stdout
    (entry,) = json.loads(failed("replay", "audit", "picky", "--json").stdout)
    assert (entry["action"], entry["details"]) == ("mended", {"changed": ["handler received changed"]})


def test_code_that_changed_more_than_the_failed_events_is_found_out(failed: Tillroll, tmp_path: Path) -> None:
    changed = PICKY.replace('sku="hat"', 'sku="cap"').replace(
        'units="quantity"', 'units=pl.col("quantity") * 10'
    )
    assert changed.count("* 10") == 1
    (tmp_path / "picky.py").write_text(changed)
    failed("dead-letters", "retry", "--all", "--mended")
    assert "units" in failed("verify", "picky", code=1).stdout


def test_what_was_discarded_is_known_to_verify(failed: Tillroll) -> None:
    (letter,) = letters(failed)
    failed("dead-letters", "discard", letter["id"])
    assert "version 1 of picky holds" in failed("verify", "picky").stdout
    assert "there is no dead letter" in failed("dead-letters", "retry", letter["id"], code=2).stderr


def test_a_candidates_letter_that_was_discarded_is_no_reason_against_it(
    failed: Tillroll, tmp_path: Path
) -> None:
    (tmp_path / "picky.py").write_text(
        PICKY.replace('sku="hat")', 'sku="hat")) + len(events.filter(sku="glove")')
    )
    failed("replay", "rebuild", "picky")
    failed("replay", "compare", "picky")
    assert (
        "1 dead letters that the live version has not" in failed("replay", "promote", "picky", code=1).stderr
    )
    glove = event_id_for("test", "StockReceived", "glove")
    (new,) = (each for each in letters(failed, "picky") if each["event_id"] == glove)
    failed("dead-letters", "discard", new["id"])
    failed("replay", "promote", "picky")


def test_a_view_that_changed_with_what_was_mended_is_there_at_once(
    failed: Tillroll, rows: Rows, tmp_path: Path
) -> None:
    mended = (
        PICKY.replace('sku="hat"', 'sku="cap"')
        .replace(
            "    units: Sum[int]\n", '    units: Sum[int]\n    twice: Derived[int] = derived("units * 2")\n'
        )
        .replace("import Frame,", "import Derived, Frame,")
        .replace("Sum, on", "Sum, derived, on")
    )
    (tmp_path / "picky.py").write_text(mended)
    failed("dead-letters", "retry", "--all", "--mended")
    assert rows("picky", "sku=hat") == [{"sku": "hat", "units": 2, "twice": 4}]


def test_discarded_is_gone_and_stays_unapplied(failed: Tillroll, rows: Rows) -> None:
    (letter,) = letters(failed)
    assert "1 dead letter discarded" in failed("dead-letters", "discard", letter["id"]).stdout
    assert letters(failed) == []
    failed("project", "picky", "--once")
    assert len(rows("picky")) == 2


@pytest.mark.parametrize(
    "command", [["show", "77"], ["retry", "77"], ["discard", "77"], ["retry"], ["discard"]]
)
def test_a_dead_letter_that_is_not_there_or_not_named_is_a_usage_error(
    failed: Tillroll, command: list[str]
) -> None:
    assert failed("dead-letters", *command, code=2).stderr.count("\n") == 1
    assert len(letters(failed)) == 1


def test_status_counts_dead_letters(failed: Tillroll) -> None:
    told = json.loads(failed("status", "picky", "--json").stdout)
    assert told["projections"][0]["dead_letters"] == 1


def test_a_letter_of_a_version_with_other_tables_is_not_retried(failed: Tillroll, tmp_path: Path) -> None:
    (letter,) = letters(failed)
    mended = PICKY.replace('sku="hat"', 'sku="cap"').replace(
        "    sku: Key", "    more: Sum[int]\n    sku: Key", 1
    )
    (tmp_path / "picky.py").write_text(mended)
    told = failed("dead-letters", "retry", letter["id"], "--mended", code=1).stdout
    assert "picky has other tables here than its version 1; `tillroll replay rebuild picky` applies" in told


def test_a_letter_of_a_promoted_version_is_retried_there(
    failed: Tillroll, rows: Rows, tmp_path: Path
) -> None:
    failed("replay", "rebuild", "picky")
    failed("replay", "promote", "picky", "--force")
    (tmp_path / "picky.py").write_text(PICKY.replace('sku="hat"', 'sku="cap"'))
    before = len(rows("picky"))
    newest = max(letters(failed), key=lambda letter: int(letter["version"]))
    assert newest["version"] == 2
    failed("dead-letters", "retry", newest["id"], "--mended")
    assert len(rows("picky")) == before + 1


def test_bytes_that_are_no_event_become_a_dead_letter_with_their_place(
    failed: Tillroll, rows: Rows, postgres_url: str
) -> None:
    log = PostgresLog(postgres_url)
    (at,) = log.append(
        "stock", 2, [Record(b"key", b"\x00\xff\xff\xff\xff??", event_id_for("test", "x", "1"))]
    )
    log.close()
    failed("project", "picky", "--once")
    letter = letters(failed, "picky")[-1]
    assert (letter["topic"], letter["partition"], letter["offset"]) == at.position
    assert "schema id 4294967295 is not in the contract" in letter["message"]
    assert "still fails" in failed("dead-letters", "retry", letter["id"], code=1).stdout
    assert len(rows("picky")) == 2


def test_a_handler_that_always_fails_stops_its_projection_and_no_other(
    failed: Tillroll, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "picky.py").write_text(
        PICKY.replace('(sku="hat")', "()").replace("class Picky", "class Fussy")
    )
    lines = [
        json.dumps(
            {
                "type": "StockReceived",
                "event_id": event_id_for("test", "StockReceived", f"many/{n}"),
                "source": "wms",
                "channel": "warehouse",
                "occurred_at": "2026-03-14T09:30:00Z",
                "sku": f"sku-{n}",
                "location_id": "store-7",
                "quantity": 2,
            }
        )
        for n in range(30)
    ]
    failed("publish", "-", input="\n".join(lines))
    result = failed("project", "fussy", "store_availability", "--once", "--json", code=1)
    told = {row["projection"]: row for row in json.loads(result.stdout)["projections"]}
    assert "mend the handler" in told["fussy"]["error"]
    assert told["fussy"]["events"] == 0
    assert told["store_availability"]["error"] is None
    assert rows("fussy") == []
    assert len(rows("store_availability")) == 33


def test_dead_letters_are_chosen_by_what_they_are(failed: Tillroll) -> None:
    (letter,) = letters(failed)
    for condition, there in [
        (f"reason={letter['error']}", 1),
        (f"error={letter['error']}", 1),
        ("record=StockReceived", 1),
        ("record=StockCounted", 0),
        ("projection=picky", 1),
        ("projection=admission", 0),
        ("message=hat", 1),
        (f"partition={letter['partition']}", 1),
    ]:
        found = json.loads(failed("dead-letters", "list", "--where", condition, "--json").stdout)
        assert len(found) == there, condition
    told = failed("dead-letters", "list", "--where", "colour=red", code=2).stderr
    assert "dead letters have no 'colour'; they have projection, version" in told


def test_chosen_ones_are_retried_or_discarded_alone(failed: Tillroll, rows: Rows, tmp_path: Path) -> None:
    before = len(rows("picky"))
    (tmp_path / "picky.py").write_text(PICKY.replace('sku="hat"', 'sku="cap"'))
    assert (
        "0 dead letters applied" in failed("dead-letters", "retry", "--where", "record=StockCounted").stdout
    )
    assert "0 dead letters discarded" in failed("dead-letters", "discard", "--where", "reason=Other").stdout
    assert (
        "1 dead letter applied"
        in failed("dead-letters", "retry", "--where", "record=StockReceived", "--mended").stdout
    )
    assert len(rows("picky")) == before + 1
    assert "or give --all or --where" in failed("dead-letters", "retry", code=2).stderr


def test_all_that_are_chosen_are_retried_together(failed: Tillroll) -> None:
    told = failed("dead-letters", "retry", "--all", "--where", "reason=LookupError", code=1).stdout
    assert "0 dead letters applied, 1 left" in told
    assert "0 left" in failed("dead-letters", "retry", "--all", "--where", "reason=Other").stdout


def test_show_says_in_plain_words_what_it_is_and_what_to_do(failed: Tillroll) -> None:
    (letter,) = letters(failed)
    assert failed("dead-letters", "show", letter["id"]).stdout.splitlines()[:3] == [
        "picky version 1 could not apply a StockReceived: LookupError: no hats here",
        "It is from source wms, channel warehouse, occurred at 2026-03-14T09:30:00Z, and stands at "
        f"stock/{letter['partition']} offset {letter['offset']}",
        f"To do: mend the handler, then `tillroll dead-letters retry {letter['id']} --mended`",
    ]


def test_a_list_of_a_name_that_nothing_has_is_refused(failed: Tillroll) -> None:
    said = failed("dead-letters", "list", "pikcy", code=2).stderr
    assert "there is no projection 'pikcy'; there are admission, channel_sales" in said
    assert "picky" in said
    assert letters(failed, "admission") == []


def test_show_holds_the_event_as_it_was_published(failed: Tillroll) -> None:
    (letter,) = letters(failed)
    event = json.loads(failed("dead-letters", "show", letter["id"], "--json").stdout)["event"]
    assert (event["event_id"], event["sku"], event["quantity"]) == (letter["event_id"], "hat", 2)
    again = failed("publish", "-", input=json.dumps(event)).stdout
    assert "1 duplicate: in the log already" in again


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("postgresql://nobody@127.0.0.1:1/nothing", "at 127.0.0.1:1/nothing does not answer"),
        ("elsewhere", "neither kafka://host:port nor postgresql://"),
        (None, "there is no log in .tillroll; name it with --log"),
    ],
)
def test_show_without_the_log_says_what_the_store_knows_and_makes_nothing(
    failed: Tillroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str | None, reason: str
) -> None:
    (letter,) = letters(failed)
    if log is None:
        monkeypatch.delenv(settings.LOG)
    else:
        monkeypatch.setenv(settings.LOG, log)
    wrong, source, todo = failed("dead-letters", "show", letter["id"]).stdout.splitlines()[:3]
    assert "could not apply a StockReceived: LookupError" in wrong
    assert source.startswith(
        f"It stands at stock/{letter['partition']} offset {letter['offset']}; what it says"
    )
    assert reason in source
    assert "dead-letters retry" in todo
    assert json.loads(failed("dead-letters", "show", letter["id"], "--json").stdout) == letter | {
        "event": None
    }
    assert not (tmp_path / ".tillroll").exists()


def test_show_of_bytes_that_are_no_event_asks_for_their_publisher(
    failed: Tillroll, postgres_url: str
) -> None:
    log = PostgresLog(postgres_url)
    log.append("stock", 2, [Record(b"key", b"\x00\xff\xff\xff\xff??", event_id_for("test", "x", "1"))])
    log.close()
    failed("project", "picky", "--once")
    id_ = letters(failed, "picky")[-1]["id"]
    wrong, source, todo = failed("dead-letters", "show", id_).stdout.splitlines()[:3]
    assert wrong.startswith(
        "picky version 1 could not apply bytes that are no event: MalformedEvent: schema id"
    )
    assert source.startswith("It stands at stock/2 offset ")
    assert "cannot be read" not in source
    assert todo == f"To do: have its publisher mended; `tillroll dead-letters discard {id_}` forgets it"
