"""The options that commands share, named once, and what they open."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

import click

from tillroll import settings
from tillroll.cli.streams import for_results_alone
from tillroll.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from tillroll.contract.registry import Contract
    from tillroll.history.view import History
    from tillroll.log.port import EventLog
    from tillroll.projection.declare import Projection
    from tillroll.store.postgres import PostgresStore

__all__ = ["Given", "require_text", "with_options"]

P = ParamSpec("P")

_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".tillroll"),
    show_default=True,
    envvar=settings.DATA,
    show_envvar=True,
    help="Directory of the embedded PostgreSQL, used for whatever has no address.",
)
_OPTIONS = {
    "log": click.option(
        "--log",
        envvar=settings.LOG,
        show_envvar=True,
        metavar="ADDRESS",
        help="The log: kafka://host:port[,host:port] or postgresql://...; embedded unless given.",
    ),
    "store": click.option(
        "--store",
        envvar=settings.STORE,
        show_envvar=True,
        metavar="ADDRESS",
        help="The store of read models: postgresql://...; embedded unless given.",
    ),
    "projections": click.option(
        "--projections",
        envvar=settings.PROJECTIONS,
        show_envvar=True,
        default="",
        metavar="FOLDERS",
        help="Folders with projections of your own, separated like PATH.",
    ),
}
_JSON = click.option("--json", "json", is_flag=True, help="Print the result as JSON.")
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Say more; show where an unexpected error came from."
)


@dataclass
class Given:
    """What the shared options were given as, and what they open, on first use."""

    json: bool = False
    verbose: bool = False
    data: Path = Path(".tillroll")
    log_address: str | None = None
    store_address: str | None = None
    folders: str = ""
    _read: dict[str, list[type["Projection"]]] = field(default_factory=dict)

    @cached_property
    def log(self) -> "EventLog":
        """The log; closed with the command."""
        return settings.open_log(self.log_address, self.data)

    @cached_property
    def store(self) -> "PostgresStore":
        """The store; closed with the command."""
        return settings.open_store(self.store_address, self.data)

    @cached_property
    def contract(self) -> "Contract":
        """The packaged contract."""
        from tillroll.contract.registry import load_contract

        return load_contract()

    @contextmanager
    def parts(self) -> Iterator[tuple["EventLog", "PostgresStore"]]:
        """A log and a store of one's own."""
        log = settings.open_log(self.log_address, self.data)
        try:
            store = settings.open_store(self.store_address, self.data)
            try:
                yield log, store
            finally:
                store.close()
        finally:
            log.close()

    def projections(self, names: Sequence[str] = ()) -> list[type["Projection"]]:
        """The projections of these names, each once, all when none is given."""
        from tillroll.projection.registry import find_projections

        folders = [Path(folder) for folder in self.folders.split(os.pathsep) if folder]
        return find_projections(dict.fromkeys(names), folders)

    def read_model(self, name: str) -> list[type["Projection"]]:
        """All projections, the one that `name` (its own or a view's) means as readers see it, where there is a store."""
        from tillroll.cli.output import say

        if name not in self._read:
            self._read[name] = self.projections()
            with suppress(Unavailable):  # of the log, which says so when it is read
                if self._has_store:
                    from tillroll.store.live import as_live

                    live = as_live(self.store, self._read[name], name, self.log.identity)
                    self._read[name] = list(live.projections)
                    for note in live.notes:
                        say(note)
        return self._read[name]

    def kept_up(self, names: Sequence[str] = ()) -> list[type["Projection"]]:
        """The projections of these names, all when none is given; also those that the store alone still knows."""
        from tillroll.cli.output import say

        found = {each.name: each for each in self.projections()}
        if not self._has_store or (names and found.keys() >= set(names)):
            return self.projections(names)
        from tillroll.store.live import undeclared

        live = undeclared(self.store, found.values())
        for note in live.notes:
            say(note)
        found |= {each.name: each for each in live.projections}
        return [found.get(name) or self.projections([name])[0] for name in dict.fromkeys(names or found)]

    @property
    def _has_store(self) -> bool:
        return self.store_address is not None or (self.data / "postgres").is_dir()

    def require_data(self, also_log: bool = False) -> None:
        """Refuse to read from an embedded PostgreSQL that was never made."""
        embedded = self.store_address is None or (also_log and self.log_address is None)
        if embedded and not (self.data / "postgres").is_dir():
            self._refuse_no_data("--log and --store")

    def _refuse_no_data(self, others: str) -> NoReturn:
        raise UsageError(
            f"there is no data in {self.data}; `tillroll demo` makes some, or name another directory with --data "
            f"(or {others})"
        )

    def history(self) -> "History":
        """The log as one that is asked about the past; with the store where its verdicts are needed.

        Refuses an embedded log that was never made.
        """
        from tillroll.history.view import History

        if self.log_address is None and not (self.data / "postgres").is_dir():
            self._refuse_no_data("--log")
        judged = not self.log.settles_duplicates and self._has_store
        return History(self.log, self.contract, self.store if judged else None)

    def close(self) -> None:
        """Close what was opened."""
        for name in ("log", "store"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()


def with_options(
    *names: str,
) -> Callable[[Callable[Concatenate[Given, P], None]], Callable[..., None]]:
    """Give a command `--json`, `-v` and the options of these names ("log", "store", "projections").

    The command gets them as its first argument. "log" and "store" bring `--data` along.
    """
    options = [_OPTIONS[name] for name in names]
    if "log" in names or "store" in names:
        options.insert(0, _DATA)

    def decorate(function: Callable[Concatenate[Given, P], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(*args: P.args, **kwargs: P.kwargs) -> None:
            given = _given(kwargs)
            click.get_current_context().call_on_close(given.close)
            with for_results_alone():
                function(given, *args, **kwargs)

        decorated: Callable[..., None] = command
        for option in reversed([*options, _JSON, _VERBOSE]):
            decorated = option(decorated)
        return decorated

    return decorate


def _given(kwargs: dict[str, Any]) -> Given:
    """Take the shared options out of a command's arguments."""
    names = {"log": "log_address", "store": "store_address", "projections": "folders"}
    taken = {
        names.get(name, name): kwargs.pop(name)
        for name in ("json", "verbose", "data", *names)
        if name in kwargs
    }
    click.get_current_context().find_root().meta["tillroll.verbose"] = taken["verbose"]
    require_text(*(str(value) for value in taken.values()))  # again: some came from the environment
    return Given(**taken)


def require_text(*arguments: str) -> None:
    """Refuse bytes that are no text in the locale's encoding; Python hands them on as lone surrogates."""
    for text in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"{text!r} holds bytes that are no text; write it in UTF-8")
