"""`tillroll replay`: a bug in a live projection is mended beside it, looked at, switched to, and back."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from tests.acceptance.test_cli_publish import received

from tillroll import settings
from tillroll.database import Database

Tillroll = Callable[..., Result]
Rows = Callable[..., list[dict[str, Any]]]

# Units that left are counted as if they had come.
BUGGY = '''
"""Units by sku."""

import polars as pl

from tillroll.events import StockAdjusted, StockReceived
from tillroll.projection import Derived, Frame, Key, Projection, Sum, derived, on


class Shelf(Projection):
    """Units by sku."""

    sku: Key[str]
    units: Sum[int]
    twice: Derived[int] = derived("units * 2")

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """What came."""
        return events.select("sku", units="quantity")

    @on(StockAdjusted)
    def adjusted(self, events: Frame) -> Frame:
        """What was found or lost."""
        return events.select("sku", units=pl.col("quantity").abs())
'''
MENDED = BUGGY.replace('units=pl.col("quantity").abs()', 'units="quantity"')


@pytest.fixture(autouse=True)
def shelf(tillroll: Tillroll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.PROJECTIONS, "own")
    Path("own").mkdir()
    write(BUGGY)
    publish(
        tillroll,
        *((n, f"sku-{n % 5}", 10) for n in range(20)),
        adjusted=[(100, "sku-1", -3), (101, "sku-2", 4)],
    )
    tillroll("project", "shelf", "--once")


def write(source: str) -> None:
    Path("own/shelf.py").write_text(source, encoding="utf-8")


def publish(
    tillroll: Tillroll, *arrived: tuple[int, str, int], adjusted: list[tuple[int, str, int]] | None = None
) -> None:
    lines = [json.dumps(received(n, sku=sku, quantity=units)) for n, sku, units in arrived]
    lines += [
        json.dumps(received(n, type="StockAdjusted", sku=sku, quantity=units, reason="count"))
        for n, sku, units in adjusted or []
    ]
    tillroll("publish", "-", input="\n".join(lines) + "\n")


def units(rows: Rows, sku: str = "sku-1") -> int:
    (row,) = rows("shelf", f"sku={sku}")
    return int(row["units"])


def states(tillroll: Tillroll) -> list[tuple[int, str]]:
    told = json.loads(tillroll("replay", "status", "shelf", "--json").stdout)
    return [(each["version"], each["state"]) for each in told]


def test_the_story_of_a_bug(tillroll: Tillroll, rows: Rows) -> None:
    assert units(rows) == 43

    write(MENDED)
    publish(tillroll, (30, "sku-1", 1))
    told = tillroll("project", "shelf", "--once").stderr
    assert "shelf: handler adjusted changed; version 1 stays live and goes on by its own code" in told
    assert "`tillroll replay rebuild shelf` fills version 2" in told
    assert units(rows) == 44  # by the old code, all of it

    result = tillroll("replay", "rebuild", "shelf")
    assert "version 2 of shelf is filled: 23 events" in result.stdout
    assert states(tillroll) == [(1, "live"), (2, "candidate")]
    assert units(rows) == 44

    refused = tillroll("replay", "promote", "shelf", code=1).stderr
    assert "not promoted: it was not compared with version 1" in refused

    found = json.loads(tillroll("replay", "compare", "shelf", "--json", "--parquet", "diff").stdout)
    (table,) = found["tables"]
    assert (table["added"], table["removed"], table["changed"]) == (0, 0, 1)
    assert table["columns"] == {"units": 1, "twice": 1}
    (sample,) = found["samples"]["shelf"]
    assert (sample["key"], sample["live"]["units"], sample["candidate"]["units"]) == (
        {"sku": "sku-1"},
        44,
        38,
    )
    assert pl.read_parquet("diff/shelf.parquet").select("sku", "difference").rows() == [("sku-1", "changed")]
    assert "sku=sku-1  units" in tillroll("replay", "compare", "shelf").stdout

    tillroll("replay", "promote", "shelf", "--reason", "adjustments had lost their sign")
    assert units(rows) == 38
    assert states(tillroll) == [(1, "warm"), (2, "live")]

    publish(tillroll, adjusted=[(102, "sku-1", -5)])
    assert "changed" not in tillroll("project", "shelf", "--once").stderr
    assert units(rows) == 33
    assert "version 2 is a candidate again" in tillroll("replay", "rollback", "shelf").stdout
    assert units(rows) == 49  # kept up meanwhile, by the old code
    assert states(tillroll) == [(1, "live"), (2, "candidate")]

    tillroll("replay", "promote", "shelf")
    tillroll("replay", "retire", "shelf")
    assert states(tillroll) == [(2, "live")]
    assert units(rows) == 33
    assert "is not there any more" in tillroll("replay", "rollback", "shelf", code=2).stderr
    log = json.loads(tillroll("replay", "audit", "shelf", "--json").stdout)
    assert [entry["action"] for entry in log] == ["retire", "promote", "rollback", "promote"]
    assert log[-1]["reason"] == "adjustments had lost their sign"


def test_the_events_behind_a_changed_row_are_named(tillroll: Tillroll) -> None:
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    found = json.loads(tillroll("replay", "compare", "shelf", "--events", "--json").stdout)
    (row,) = found["events"]
    assert (row["table"], row["key"]) == ("shelf", {"sku": "sku-1"})
    gave = [(e["record"], e["live"], e["candidate"], e["differs"]) for e in row["events"]]
    came, lost = [{"units": 10}], [{"units": 3}]
    assert gave == [("StockReceived", came, came, False)] * 4 + [
        ("StockAdjusted", lost, [{"units": -3}], True)
    ]
    last = row["events"][-1]
    assert last["event_id"] == received(100)["event_id"]
    assert last["topic"] == "stock"
    assert sum(e["candidate"][0]["units"] for e in row["events"]) == 37  # the cell of the candidate

    told = tillroll("replay", "compare", "shelf", "--events").stdout
    assert "behind shelf sku=sku-1:" in told
    (line,) = (line for line in told.splitlines() if "StockAdjusted" in line)
    assert "units=3" in line
    assert "units=-3" in line
    assert "events" not in tillroll("replay", "compare", "shelf").stdout


def test_events_behind_many_rows_are_refused_at_once(tillroll: Tillroll) -> None:
    refused = tillroll("replay", "compare", "shelf", "--events", "--samples", "101", code=2).stderr
    assert "at most 100 rows of a table, not 101" in refused


def test_of_many_events_behind_a_row_those_that_differ_are_shown(tillroll: Tillroll) -> None:
    publish(tillroll, *((n, "sku-1", 1) for n in range(200, 240)), adjusted=[(300, "sku-1", -1)])
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    told = tillroll("replay", "compare", "shelf", "--events").stdout
    assert told.count("StockAdjusted") == 2
    assert told.count("StockReceived") == 18
    assert "and 26 more; --json has all" in told
    found = json.loads(tillroll("replay", "compare", "shelf", "--events", "--json").stdout)
    assert len(found["events"][0]["events"]) == 46


def test_events_after_the_comparison_and_rows_that_one_side_lacks(tillroll: Tillroll) -> None:
    """A handler that the live code does not have gives nothing there."""
    without = MENDED[: MENDED.index("    @on(StockAdjusted)")]
    write(without)
    publish(tillroll, adjusted=[(400, "sku-9", -2)])
    tillroll("replay", "rebuild", "shelf")
    found = json.loads(tillroll("replay", "compare", "shelf", "--events", "--json").stdout)
    behind = {row["key"]["sku"]: row["events"] for row in found["events"]}
    assert [(e["live"], e["candidate"]) for e in behind["sku-9"]] == [([{"units": 2}], [])]
    assert len(behind["sku-2"]) == 5


def test_what_a_candidate_that_begins_later_lacks_is_said(tillroll: Tillroll) -> None:
    tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01")
    told = tillroll("replay", "compare", "shelf").stdout
    assert "the candidate begins at 2100-01-01: what happened before may be all that differs" in told


def test_the_same_code_gives_no_difference(tillroll: Tillroll) -> None:
    tillroll("replay", "rebuild", "shelf", "--processes", "2")
    assert "the rows are the same" in tillroll("replay", "compare", "shelf").stdout


def test_cancel_leaves_nothing_behind(tillroll: Tillroll, everything: Callable[[], dict[str, Any]]) -> None:
    before = everything()
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    tillroll("replay", "cancel", "shelf")
    after = everything()
    (entry,) = after.pop("tillroll.audit")
    assert "cancel" in entry
    assert before.pop("tillroll.audit") == []
    assert after == before


def test_a_candidate_of_some_keys_or_some_time_is_not_promoted(tillroll: Tillroll, rows: Rows) -> None:
    write(MENDED)
    tillroll("replay", "rebuild", "shelf", "--key", "sku=sku-1")
    found = json.loads(tillroll("replay", "compare", "shelf", "--json").stdout)
    (table,) = found["tables"]
    assert (table["live_rows"], table["candidate_rows"], table["changed"]) == (1, 1, 1)
    assert (
        "filled in part only (only {'sku': 'sku-1'})" in tillroll("replay", "promote", "shelf", code=1).stderr
    )
    tillroll("replay", "cancel", "shelf")
    tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01")
    tillroll("replay", "promote", "shelf", "--force", "--reason", "to see")
    assert rows("shelf") == []
    (entry,) = json.loads(tillroll("replay", "audit", "shelf", "--json").stdout)[:1]
    assert any("filled in part only" in reason for reason in entry["details"]["overridden"])


def test_other_code_than_that_which_fills_is_refused(tillroll: Tillroll) -> None:
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    write(
        MENDED.replace(
            'units="quantity")\n\n    @on(StockAdjusted)',
            'units=pl.col("quantity"))\n\n    @on(StockAdjusted)',
        )
    )
    told = tillroll("replay", "rebuild", "shelf", code=2).stderr
    assert "version 2 of shelf is being filled by other code (handler received changed)" in told


def test_only_views_changed_need_no_rebuild(tillroll: Tillroll, rows: Rows) -> None:
    write(BUGGY.replace("units * 2", "units * 20"))
    told = tillroll("project", "shelf", "--once").stderr
    assert "shelf: derived column shelf.twice changed: readers see it from now on" in told
    (row,) = rows("shelf", "sku=sku-1")
    assert row["twice"] == 43 * 20
    assert "changed" not in tillroll("project", "shelf", "--once").stderr


def test_a_dry_run_changes_nothing(tillroll: Tillroll, everything: Callable[[], dict[str, Any]]) -> None:
    before = everything()
    told = json.loads(tillroll("replay", "rebuild", "shelf", "--dry-run", "--json").stdout)
    assert told["events"] == {"orders": 0, "stock": 22}
    assert told["sampled"] > 0
    assert everything() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rebuild", "shelf", "--from", "yesterday"], "--from yesterday: a time as"),
        (
            ["rebuild", "shelf", "--from", "2026-03-14T09:30+00:00:30"],
            "--from 2026-03-14T09:30+00:00:30: a time as",
        ),
        (["rebuild", "shelf", "--from", "nowhere/0:5"], "reads no partition nowhere/0"),
        (["rebuild", "shelf", "--from", "stock/0:99999"], "--from stock/0:99999: the log holds offsets 0 to"),
        (["rebuild", "shelf", "--key", "size=4"], "size is part of no key of shelf; there are sku"),
        (["rebuild", "channel_sales", "--key", "business_date=May"], "business_date=May: a date as"),
        (["rebuild", "shelv"], "there is no projection 'shelv'"),
        (["compare", "shelf"], "shelf has no candidate"),
        (["promote", "shelf"], "shelf has no candidate"),
        (["rollback", "shelf"], "version 1 is the first that readers see"),
        (["retire", "shelf"], "name the version of shelf to retire"),
        (["cancel", "shelf"], "shelf has no rebuild"),
        (["pause", "shelf"], "shelf has no rebuild"),
        (["status", "shelv"], "shelv has no version in this store; there are shelf"),
    ],
)
def test_what_cannot_be_meant_is_told(tillroll: Tillroll, arguments: list[str], told: str) -> None:
    assert told in tillroll("replay", *arguments, code=2).stderr


def test_columns_that_come_and_go_are_told(tillroll: Tillroll) -> None:
    write(BUGGY.replace("units: Sum[int]", "units: Sum[int]\n    more: Sum[int]"))
    tillroll("replay", "rebuild", "shelf")
    told = tillroll("replay", "compare", "shelf").stdout
    assert "with more" in told
    assert "the rows are the same, and readers would see other columns of them" in told
    found = json.loads(tillroll("replay", "compare", "shelf", "--json").stdout)
    assert (found["same"], found["same_columns"]) == (True, False)


def test_the_past_is_that_of_the_version_that_readers_see(tillroll: Tillroll, rows: Rows) -> None:
    before = rows("shelf", "sku=sku-1")
    write(MENDED)
    assert rows("shelf", "sku=sku-1", "--as-of", "2100-01-01") == before
    told = tillroll("explain", "shelf", "sku=sku-1", "--column", "units")
    assert f"units = {before[0]['units']}" in told.stdout
    assert "shelf: by the code of version 1, which readers see; the code at hand differs" in told.stderr
    changed = tillroll("what-if", "shelf", "--with", "own/shelf.py").stdout
    assert "readers would see these differences" in changed
    Path("own/shelf.py").unlink()
    assert rows("shelf", "sku=sku-1", "--as-of", "2100-01-01") == before


def test_a_store_of_another_log_says_nothing_about_this_one(
    tillroll: Tillroll, postgres_url: str, rows: Rows
) -> None:
    write(MENDED)
    with Database(postgres_url).connection() as connection:
        connection.execute("update tillroll.store set log_identity = 'kafka:another'")
    (row,) = rows("shelf", "sku=sku-1", "--as-of", "2100-01-01")
    by_the_code_at_hand = 37
    assert row["units"] == by_the_code_at_hand


def test_a_version_whose_file_is_gone_is_kept_up_and_said(tillroll: Tillroll, rows: Rows) -> None:
    Path("own/shelf.py").unlink()
    publish(tillroll, (500, "sku-1", 7))
    before = units(rows)
    told = tillroll("project", "--once")
    assert "shelf: no file at hand declares it" in told.stderr
    assert units(rows) == before + 7
    standing = json.loads(tillroll("status", "shelf", "--json").stdout)["projections"]
    assert [(each["projection"], each["lag"]) for each in standing] == [("shelf", 0)]


STUCK = BUGGY.replace(
    '''        """What came."""
''',
    '''        """What came, unless it is bad."""
        if len(events.filter(sku="bad")):
            raise ValueError("bad")
''',
)


def test_a_live_version_that_its_handler_stops_is_compared_where_it_stands(
    tillroll: Tillroll, rows: Rows
) -> None:
    write(STUCK)
    tillroll("replay", "rebuild", "shelf")
    tillroll("replay", "promote", "shelf", "--force")
    before = rows("shelf")
    publish(tillroll, *((1_000 + n, "bad", 1) for n in range(200)))
    assert "mend the handler" in tillroll("project", "shelf", "--once", code=1).stderr
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    found = json.loads(tillroll("replay", "compare", "shelf", "--json").stdout)
    (table,) = found["tables"]
    assert table["live_rows"] == table["candidate_rows"] == len(before)
    tillroll("replay", "promote", "shelf")
    assert units(rows, "bad") == 200


def test_state_that_only_later_events_would_show_is_verified_too(
    tillroll: Tillroll, postgres_url: str
) -> None:
    publish(tillroll, (600, "sku-9", 4))
    tillroll("project", "store_availability", "--once")
    assert "holds" in tillroll("verify", "store_availability").stdout
    with Database(postgres_url).connection() as connection:
        connection.execute("delete from store_availability_v1.stock__on_hand__moves where sku = 'sku-9'")
    told = tillroll("verify", "store_availability", code=1).stdout
    assert "stock__on_hand__moves: 1 row hold something else beside what readers see" in told


def test_a_read_model_is_verified_against_its_events(
    tillroll: Tillroll, postgres_url: str, everything: Callable[[], dict[str, Any]]
) -> None:
    before = everything()
    assert "version 1 of shelf holds" in tillroll("verify", "shelf").stdout
    assert everything() == before
    with Database(postgres_url).connection() as connection:
        connection.execute("update shelf_v1.shelf set units = units + 1 where sku = 'sku-1'")
        connection.execute("delete from shelf_v1.shelf where sku = 'sku-3'")
    told = json.loads(tillroll("verify", "shelf", "--json", code=1).stdout)
    (table,) = told["tables"]
    assert (told["holds"], table["added"], table["changed"], table["columns"]["units"]) == (False, 1, 1, 1)
    assert "sku=sku-1  units   44      43" in tillroll("verify", "shelf", code=1).stdout


@pytest.fixture
def later(tillroll: Tillroll, rows: Rows) -> str:
    """A moment after which 7 units of sku-1 came; the live version was rebuilt from there on."""
    time.sleep(0.01)
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    publish(tillroll, (500, "sku-1", 7))
    tillroll("replay", "rebuild", "shelf", "--from", moment)
    tillroll("replay", "promote", "shelf", "--force", "--reason", "only the new season")
    assert units(rows) == 7
    return moment


def test_a_version_that_begins_later_is_verified_from_there_on(tillroll: Tillroll, later: str) -> None:
    assert f"version 2 of shelf, from {later} on, holds" in tillroll("verify", "shelf").stdout
    told = json.loads(tillroll("verify", "shelf", "--json").stdout)
    assert sum(each["in_log"] for each in told["partitions"]) == 1


def test_events_from_before_the_live_version_began_gave_nothing_to_it(tillroll: Tillroll, later: str) -> None:
    write(MENDED)
    tillroll("replay", "rebuild", "shelf")
    assert behind_sku_1(tillroll) == [([], [-3]), *[([], [10])] * 4, ([7], [7])]


def test_events_from_before_the_candidate_begins_give_nothing_to_it(tillroll: Tillroll) -> None:
    tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01")
    publish(tillroll, (500, "sku-1", 7))
    tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01")  # takes it in
    assert behind_sku_1(tillroll) == [([3], []), ([7], [7]), *[([10], [])] * 4]


def behind_sku_1(tillroll: Tillroll) -> list[tuple[list[int], list[int]]]:
    """What each event gave to the live row, and to the candidate's."""
    found = json.loads(tillroll("replay", "compare", "shelf", "--events", "--json").stdout)
    (row,) = (row for row in found["events"] if row["key"]["sku"] == "sku-1")
    sides = [[[part["units"] for part in e[side]] for side in ("live", "candidate")] for e in row["events"]]
    return sorted((live, candidate) for live, candidate in sides)


def test_a_rebuild_that_begins_later_goes_on_from_where_it_began(tillroll: Tillroll, rows: Rows) -> None:
    """A moment to come stands for the end of the log as it was when the version was made."""
    tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01")
    publish(tillroll, (500, "sku-1", 7))
    told = json.loads(tillroll("replay", "rebuild", "shelf", "--from", "2100-01-01", "--json").stdout)
    assert told["events"] == 1
    tillroll("replay", "promote", "shelf", "--force")
    assert units(rows) == 7
    assert "holds" in tillroll("verify", "shelf").stdout


def test_verifying_finds_dead_letters_that_are_not_kept(tillroll: Tillroll, postgres_url: str) -> None:
    write(
        BUGGY.replace('        return events.select("sku", units="quantity")', FAILING, 1).replace(
            "Shelf", "Other"
        )
    )
    Path("own/shelf.py").rename("own/other.py")
    publish(tillroll, (200, "sku-1", 77))
    tillroll("project", "other", "--once")
    assert "holds" in tillroll("verify", "other").stdout
    with Database(postgres_url).connection() as connection:
        connection.execute("delete from tillroll.dead_letters")
    told = tillroll("verify", "other", code=1).stdout
    assert "fails, but is no dead letter" in told


def counts(tillroll: Tillroll, name: str, code: int = 0) -> dict[str, int]:
    """Sums over the partitions that verify tells of."""
    told = json.loads(tillroll("verify", name, "--json", code=code).stdout)["partitions"]
    return {
        column: sum(p[column] for p in told) for column in ("in_log", "applied", "dead_letters", "expected")
    }


def test_verifying_counts_what_the_log_has_against_what_was_taken_in(
    tillroll: Tillroll, postgres_url: str
) -> None:
    write(BUGGY.replace('        return events.select("sku", units="quantity")', FAILING, 1))
    tillroll("replay", "rebuild", "shelf")
    tillroll("replay", "compare", "shelf")
    tillroll("replay", "promote", "shelf")
    publish(
        tillroll, (200, "sku-1", 77), (201, "sku-1", 1), (1, "sku-1", 10)
    )  # the last one is there already
    tillroll("project", "shelf", "--once")
    assert counts(tillroll, "shelf") == {"in_log": 24, "applied": 23, "dead_letters": 1, "expected": 1}
    write(BUGGY)
    tillroll("dead-letters", "retry", "--all", "--mended")
    assert counts(tillroll, "shelf") == {"in_log": 24, "applied": 24, "dead_letters": 0, "expected": 0}
    with Database(postgres_url).connection() as connection:
        connection.execute(
            "update tillroll.positions set applied = applied - 1 where applied > 0 and version = 2"
        )
    said = tillroll("verify", "shelf", code=1).stdout
    assert "events, applied or dead are" in said
    with Database(postgres_url).connection() as connection:
        connection.execute("update tillroll.positions set applied = null")
    assert "applied or dead are" not in tillroll("verify", "shelf").stdout


FAILING = """        if (events.polars["quantity"] == 77).any():
            raise ValueError("77")
        return events.select("sku", units="quantity")"""
