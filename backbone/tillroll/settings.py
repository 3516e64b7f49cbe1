"""Where things are: environment variables, the data directory, and what the addresses mean.

| variable | meaning | default |
|---|---|---|
| TILLROLL_DATA | directory of the embedded PostgreSQL | .tillroll |
| TILLROLL_LOG | the log: kafka://host:port[,host:port] or postgresql://... | the embedded PostgreSQL |
| TILLROLL_STORE | the store of read models: postgresql://... | the embedded PostgreSQL |
| TILLROLL_PROJECTIONS | folders with further projections, separated like PATH | none |
| TILLROLL_IDENTITY_KEY | key of the hashes that stand for personal references, see tillroll.identity | a demo key |
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tillroll.errors import UsageError

if TYPE_CHECKING:  # adapters are imported where they are used: the command line must start at once
    from tillroll.log.port import EventLog
    from tillroll.store.postgres import PostgresStore

__all__ = ["DATA", "LOG", "PROJECTIONS", "STORE", "open_log", "open_store"]

DATA, LOG, STORE, PROJECTIONS = "TILLROLL_DATA", "TILLROLL_LOG", "TILLROLL_STORE", "TILLROLL_PROJECTIONS"

_POSTGRES = ("postgresql://", "postgres://")
_KAFKA = "kafka://"


def open_log(address: str | None, data: Path) -> "EventLog":
    """The log at `address`; without one, in the embedded PostgreSQL under `data`.

    Raises UsageError on an address of no known kind; connecting comes later, with the first call.
    """
    if address is None:
        from tillroll.log.postgres import PostgresLog
        from tillroll.store.embedded import embedded_postgres

        return PostgresLog(embedded_postgres(data))
    if address.startswith(_POSTGRES):
        from tillroll.log.postgres import PostgresLog

        return PostgresLog(address)
    if address.startswith(_KAFKA):
        from tillroll.log.kafka import KafkaLog

        return KafkaLog(address.removeprefix(_KAFKA).rstrip("/"))
    raise UsageError(f"--log {address!r} is neither kafka://host:port nor postgresql://...")


def open_store(address: str | None, data: Path) -> "PostgresStore":
    """The store at `address`; without one, the embedded PostgreSQL under `data`."""
    from tillroll.store.postgres import PostgresStore

    if address is None:
        from tillroll.store.embedded import embedded_postgres

        return PostgresStore(embedded_postgres(data))
    if address.startswith(_POSTGRES):
        return PostgresStore(address)
    raise UsageError(f"--store {address!r} is not postgresql://...")
