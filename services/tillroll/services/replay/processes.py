"""Those who do the work of a rebuild: a thread of ours, or as many processes as wished; gone with the one that
started them, however that ends.
"""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from tillroll.errors import TillrollError

__all__ = ["Here", "Processes"]


class Here:
    """A thread that does `work(*args, stopped=...)`; a context, at whose end it is through.

    stopped: tells whether it is to leave off. One needs no process of its own, which takes half a second to start.
    """

    def __init__(self, work: Callable[..., None], *args: Any):
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(work, args), name="tillroll-fill", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def are_at_work(self, seconds: float) -> bool:
        """Whether it is, after at most that long. Raises what it raised."""
        self._thread.join(seconds)
        error = self._error
        if isinstance(error, Exception):
            raise error
        if error is not None:  # a panic of a library, or a handler that wants to end the process
            raise TillrollError(f"{type(error).__name__}: {error}") from error
        return self._thread.is_alive()

    def _run(self, work: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            work(*args, stopped=self._stop.is_set)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody can tell it
            self._error = error


class Processes:
    """`count` processes that each do `work(*args)`; a context, at whose end none of them is left.

    Spawned, not forked: connections and threads of the parent stay its own.
    """

    def __init__(self, count: int, work: Callable[..., None], *args: Any):
        self._context = get_context("spawn")
        self._count, self._told = count, (work, args)
        self._running: dict[int, tuple[BaseProcess, Connection]] = {}

    def __enter__(self) -> Self:
        for _ in range(self._count):
            mine, theirs = self._context.Pipe(duplex=False)
            process = self._context.Process(target=_serve, args=(theirs, *self._told), daemon=True)
            process.start()
            theirs.close()
            self._running[process.sentinel] = (process, mine)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, _ in self._running.values():
            process.terminate()  # nothing is lost: what is not committed is read again
        for process, pipe in self._running.values():
            process.join()
            pipe.close()

    def are_at_work(self, seconds: float) -> bool:
        """Whether any is, after at most that long. Raises what the first that failed raised."""
        if self._running:
            for sentinel in connection.wait([*self._running], seconds):
                assert isinstance(sentinel, int)
                self._reap(*self._running.pop(sentinel))
        return bool(self._running)

    def _reap(self, process: BaseProcess, pipe: Connection) -> None:
        process.join()
        with pipe:
            try:
                error = pipe.recv()
            except EOFError:
                error = TillrollError(
                    "a process that filled was killed; run the rebuild again, it goes on where it was"
                )
        if error is not None:
            raise error


def _serve(pipe: Connection, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends us
    sys.stdout = sys.stderr  # what handlers print must not get among the parent's results
    threading.Thread(target=_end_with_parent, daemon=True).start()
    error = None
    try:
        work(*args)
    except Exception as found:  # noqa: BLE001 - it is raised where somebody can tell it
        error = _portable(found)
    with pipe:
        pipe.send(error)


def _end_with_parent() -> None:
    """A parent that was killed leaves nobody to stop us, or to hold us to its rate."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """`error`, or one that says the same where it cannot travel between processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an exception may define its own ways
        return TillrollError(f"{type(error).__name__}: {error}")
    return error
