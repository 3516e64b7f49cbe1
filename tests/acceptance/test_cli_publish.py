"""`tillroll publish`: what is an event goes in, what is none comes back with place and reason."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tillroll.events import event_id_for
from tillroll.log.port import TopicPartition
from tillroll.log.postgres import PostgresLog
from tillroll.log.records import read_records

Tillroll = Callable[..., Result]


def received(number: int, **changes: Any) -> dict[str, Any]:
    event = {
        "type": "StockReceived",
        "event_id": event_id_for("test", "StockReceived", str(number)),
        "source": "wms",
        "channel": "warehouse",
        "occurred_at": "2026-03-14T09:30:00Z",
        "sku": "shoe-42",
        "location_id": "store-7",
        "quantity": 1,
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


def refund(currency: str) -> dict[str, Any]:
    changes = {
        "type": "RefundIssued",
        "refund_id": "r-1",
        "currency": currency,
        "business_date": "2026-03-14",
    }
    return received(1, **changes, sku=..., location_id=..., quantity=...)


def ndjson(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def test_events_are_published_and_counted(tillroll: Tillroll) -> None:
    result = tillroll("publish", "-", "--json", input=ndjson(received(1), received(2)))
    assert json.loads(result.stdout) == {
        "published": 2,
        "duplicates": 0,
        "conflicts": 0,
        "rejects": 0,
        "rejected": [],
        "repeated": [],
    }


def test_the_same_event_again_is_a_duplicate_and_told_so(tillroll: Tillroll) -> None:
    tillroll("publish", "-", input=ndjson(received(1)))
    result = tillroll("publish", "-", input=ndjson(received(1), received(2), received(2)))
    first, second = (received(n)["event_id"] for n in (1, 2))
    told = result.stdout.splitlines()
    assert told[:2] == ["1 event published", "2 duplicates: in the log already, nothing added"]
    assert [re.sub(r"/\d+ offset \d+$", "", line) for line in told[2:]] == [
        f"  - line 1: event_id {first} stands at stock",
        f"  - line 3: event_id {second} stands at stock",
    ]


def test_of_many_duplicates_some_are_named(tillroll: Tillroll) -> None:
    tillroll("publish", "-", input=ndjson(*(received(n) for n in range(30))))
    again = ndjson(*(received(n) for n in range(30)))
    assert tillroll("publish", "-", input=again).stdout.splitlines()[-1] == (
        "  and 27 more; --json names 20 of them"
    )
    told = json.loads(tillroll("publish", "-", "--json", input=again).stdout)
    assert told["duplicates"] == 30
    assert [(repeat["line"], repeat["event_id"]) for repeat in told["repeated"]] == [
        (n + 1, received(n)["event_id"]) for n in range(20)
    ]


def test_the_same_id_with_other_content_is_refused_and_named(tillroll: Tillroll) -> None:
    tillroll("publish", "-", input=ndjson(received(1)))
    result = tillroll("publish", "-", "--json", input=ndjson(received(1, quantity=7)), code=1)
    told = json.loads(result.stdout)
    assert (told["published"], told["conflicts"], told["rejects"]) == (0, 1, 1)
    assert told["rejected"][0]["field"] == "event_id"
    assert "stock/" in told["rejected"][0]["reason"]


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ('{"type": "StockRec', "", "JSON"),
        ("not json at all", "", "JSON"),
        ("[1, 2]", "", "JSON object"),
        (json.dumps(received(1, quantity=...)), "quantity", "missing"),
        (json.dumps(received(1, sku=7)), "sku", "7"),
        (json.dumps(received(1, type="StockEaten")), "type", "StockEaten"),
        (json.dumps(received(1, type=...)), "type", "missing"),
        (json.dumps(received(1, occurred_at="2026-03-14T09:30:00")), "occurred_at", "zone"),
        (json.dumps(received(1, occurred_at="2026-03-14T09:30:00+99:99")), "occurred_at", "+99:99"),
        (json.dumps(received(1, occurred_at="2026-03-14T09:30:00+00:00:30")), "occurred_at", "+00:00:30"),
        (json.dumps(received(1, sku="\udcff")), "sku", "surrogate"),
        (json.dumps(refund("EURO")), "currency", "EURO"),
        (json.dumps(received(1, quantity=2.5)), "quantity", "2.5"),
        (json.dumps(received(1, colour="red")), "colour", ""),
    ],
)
def test_a_bad_line_is_rejected_with_number_field_and_reason_and_the_others_are_published(
    tillroll: Tillroll, line: str, field: str, reason: str
) -> None:
    text = ndjson(received(11)) + "\n" + line + "\n" + ndjson(received(12))
    result = tillroll("publish", "-", "--json", input=text, code=1)
    told = json.loads(result.stdout)
    assert (told["published"], told["rejects"]) == (2, 1)
    (reject,) = told["rejected"]
    assert (reject["file"], reject["line"], reject["field"]) == ("-", 3, field)
    assert reason in reject["reason"]
    assert "- line 3: " in result.stderr


def test_rejected_lines_are_kept_can_be_mended_and_published(tillroll: Tillroll, tmp_path: Path) -> None:
    events, rejects = tmp_path / "events.ndjson", tmp_path / "rejects.ndjson"
    events.write_text(ndjson(received(1), received(2, quantity=2.5)))
    tillroll("publish", events, "--rejects", rejects, code=1)
    comment, line = rejects.read_text().splitlines()
    assert comment.startswith(f"# {events} line 2: quantity ")
    assert json.loads(line) == received(2, quantity=2.5)
    rejects.write_text(rejects.read_text().replace("2.5", "2"))
    assert tillroll("publish", rejects).stdout == "1 event published\n"


def test_rejects_beyond_the_first_are_counted_and_all_kept(tillroll: Tillroll, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    result = tillroll("publish", "-", "--rejects", rejects, input="{}\n" * 30, code=1)
    assert "30 lines rejected" in result.stdout
    assert "10 more lines rejected" in result.stderr
    assert rejects.read_text().count("\n{}\n") == 30


def test_the_rejects_file_must_not_be_an_input(tillroll: Tillroll, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(ndjson(received(1)))
    tillroll("publish", file, "--rejects", file, code=2)
    assert file.read_text() == ndjson(received(1))


def test_an_empty_file_publishes_nothing(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").touch()
    assert tillroll("publish", "empty.ndjson").stdout == "0 events published\n"


def test_a_missing_file_is_one_line_and_nothing_is_published(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "there.ndjson").write_text(ndjson(received(1)))
    result = tillroll("publish", "there.ndjson", "gone.ndjson", code=1)
    assert result.stderr == "tillroll: gone.ndjson: there is no such file; check the path\n"
    assert "1 event published" in tillroll("publish", "there.ndjson").stdout


def test_a_binary_file_is_one_line(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\n" * 100)
    result = tillroll("publish", "picture", code=1)
    assert result.stderr.count("\n") == 1
    assert "binary" in result.stderr


def test_a_file_cut_in_the_middle_publishes_what_is_whole(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "cut.ndjson").write_text(ndjson(received(1), received(2))[:-40])
    result = tillroll("publish", "cut.ndjson", code=1)
    assert "1 event published" in result.stdout
    assert "cut.ndjson line 2: " in result.stderr


def test_an_event_too_large_for_any_log_is_rejected_and_the_others_are_published_once(
    tillroll: Tillroll, tmp_path: Path
) -> None:
    large = received(2, reference="x" * 1_600_000)
    (tmp_path / "large.ndjson").write_text(ndjson(received(1), large, received(3)))
    result = tillroll("publish", "large.ndjson", "--rejects", "rejects", code=1)
    assert "2 events published" in result.stdout
    assert "large.ndjson line 2: " in result.stderr
    assert "the event is too large: 1,600,0" in result.stderr
    assert json.loads((tmp_path / "rejects").read_text().splitlines()[1]) == large
    nearly = received(4, reference="x" * 999_000)
    assert "1 event published" in tillroll("publish", "-", input=ndjson(nearly)).stdout


def test_a_gzip_file_is_read_and_one_cut_in_the_middle_is_one_line(
    tillroll: Tillroll, tmp_path: Path
) -> None:
    packed = gzip.compress(ndjson(*map(received, range(2000))).encode())
    (tmp_path / "whole.ndjson.gz").write_bytes(packed)
    (tmp_path / "cut.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    result = tillroll("publish", "cut.ndjson.gz", code=1)
    told_first = re.search(
        r"cut\.ndjson\.gz is cut: .*; ([\d,]+) events were published before that", result.stderr
    )
    assert told_first is not None
    assert "known events are not added twice" in result.stderr
    assert result.stderr.count("\n") == 1
    again = tillroll("publish", "cut.ndjson.gz", code=1).stderr
    assert f"0 events were published before that, {told_first[1]} duplicates known before" in again
    told = json.loads(tillroll("publish", "whole.ndjson.gz", "--json").stdout)
    assert told["published"] + told["duplicates"] == 2000
    assert told["duplicates"] == int(told_first[1].replace(",", "")) > 0


def test_a_gzip_file_cut_at_any_place_publishes_every_line_that_can_be_read(
    tillroll: Tillroll, tmp_path: Path
) -> None:
    lines = [ndjson(received(number)).encode() for number in range(6)]
    packer, packed, ends = zlib.compressobj(wbits=31), b"", []
    for line in lines:
        packed += packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH)
        ends.append(len(packed))
    (tmp_path / "cut.gz").write_bytes(packed[: ends[3] + 1])
    result = tillroll("publish", "cut.gz", code=1)
    assert "cut.gz is cut: " in result.stderr
    assert "; 4 events were published before that" in result.stderr
    (tmp_path / "cut.gz").write_bytes(packed[:4])
    assert "; 0 events were published before that" in tillroll("publish", "cut.gz", code=1).stderr


def test_rejects_before_the_cut_are_counted_too(tillroll: Tillroll, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"{}\n" * 30, mtime=0)[:-4])
    result = tillroll("publish", "cut.gz", code=1)
    assert "10 more lines rejected; --rejects FILE keeps them all" in result.stderr
    assert "cut.gz is cut: " in result.stderr.splitlines()[-1]


def test_a_folder_is_one_line(tillroll: Tillroll, tmp_path: Path) -> None:
    assert "is a folder" in tillroll("publish", tmp_path, code=1).stderr


def test_a_log_that_is_not_there_is_one_line(tillroll: Tillroll) -> None:
    address = "postgresql://nobody@127.0.0.1:1/nothing"
    result = tillroll("publish", "-", "--log", address, input=ndjson(received(1)), code=1)
    assert result.stderr.startswith("tillroll: the log at 127.0.0.1:1/nothing does not answer")
    assert result.stderr.count("\n") == 1


def test_a_log_of_no_known_kind_is_a_usage_error(tillroll: Tillroll) -> None:
    assert "neither kafka://" in tillroll("publish", "-", "--log", "ftp://x", input="", code=2).stderr


def test_an_e_mail_address_never_reaches_the_log(tillroll: Tillroll, postgres_url: str) -> None:
    consent = {"type": "ConsentChanged", "purpose": "stock-alerts", "granted": True}
    none = dict.fromkeys(("sku", "location_id", "quantity"), ...)
    lines = [
        received(number, **consent, **none, reference={"kind": "email", "value": value})
        for number, value in enumerate(("Ann@Example.org", " ann@example.org", "nobody"))
    ]
    told = json.loads(tillroll("publish", "-", "--json", input=ndjson(*lines), code=1).stdout)
    assert told["published"] == 2
    assert told["rejected"][0]["field"] == "reference.value"
    assert "nobody" not in told["rejected"][0]["reason"]
    log = PostgresLog(postgres_url)
    origins = [TopicPartition("customers", number) for number in range(log.partitions("customers"))]
    found = [record for origin in origins for record in read_records(log.read(origin, 0)).rows(named=True)]
    log.close()
    assert len(found) == 2
    assert len({record["key"] for record in found}) == 1
    assert not any(b"example.org" in record[part].lower() for record in found for part in ("key", "value"))
