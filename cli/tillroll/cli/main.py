"""The `tillroll` command: the groups, and what happens to errors."""

import errno
import sys
import traceback
from typing import Any, NoReturn

import click

from tillroll.cli.dead_letters import dead_letters
from tillroll.cli.demo import demo
from tillroll.cli.doctor import doctor
from tillroll.cli.explain import explain, history
from tillroll.cli.export import export
from tillroll.cli.imports import import_
from tillroll.cli.new import new
from tillroll.cli.options import require_text
from tillroll.cli.output import say
from tillroll.cli.project import project
from tillroll.cli.publish import publish
from tillroll.cli.query import query
from tillroll.cli.react import react
from tillroll.cli.replay import replay
from tillroll.cli.schema import schema
from tillroll.cli.status import status
from tillroll.cli.streams import drop_output, open_missing
from tillroll.cli.verify import verify
from tillroll.cli.what_if import what_if
from tillroll.errors import TillrollError, UsageError

__all__ = ["cli", "main"]

REFUSED, USAGE = 1, 2


class _Tillroll(click.Group):
    """Turns every error into one line on stderr and an exit code: 1 refused or failed, 2 usage."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        kwargs["standalone_mode"] = False
        self._verbose = False
        try:
            given = args[0] if args else kwargs.get("args")
            require_text(*(sys.argv[1:] if given is None else given))
            code = super().main(*args, **kwargs)
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - the outermost place
            code = self._told(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        finally:
            self._verbose = ctx.meta.get("tillroll.verbose", False)

    def _told(self, error: BaseException) -> int:
        match error:
            case click.exceptions.NoArgsIsHelpError():
                error.show()
                return USAGE
            case click.UsageError():
                where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
                say(error.format_message().rstrip(".") + where)
                return USAGE
            case click.ClickException():
                say(error.format_message())
            case TillrollError():
                say(" ".join(str(error).split()))
                return USAGE if isinstance(error, UsageError) else REFUSED
            case KeyboardInterrupt() | click.Abort():
                say("interrupted")
            case BrokenPipeError():  # whoever read our output has seen enough
                drop_output()
            case OSError(errno=errno.ENOSPC):
                say(
                    f"no space left to write {error.filename or 'the output'}; free some, then run this again"
                )
                drop_output()
            case Exception():
                self._unexpected(error)
            case _:
                raise error
        return REFUSED

    def _unexpected(self, error: Exception) -> None:
        say(
            f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
            + ("" if self._verbose else "; -v shows where")
        )
        if self._verbose:
            traceback.print_exception(error)


@click.group(
    cls=_Tillroll,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Results go to stdout, everything else to stderr. Exit code: 0 done, 1 refused or failed, 2 usage.",
)
@click.version_option(package_name="tillroll", message="tillroll %(version)s")
def cli() -> None:
    """Till roll of every channel: append events to one log, project them into read models, query those."""


for command in (
    demo,
    import_,
    publish,
    project,
    query,
    explain,
    history,
    what_if,
    export,
    status,
    dead_letters,
    replay,
    verify,
    react,
    schema,
    new,
    doctor,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Entry point."""
    open_missing()
    cli(prog_name="tillroll")
    raise AssertionError("the command exits")
