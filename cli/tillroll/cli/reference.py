"""The reference of the command line, made from the commands themselves: ``python -m tillroll.cli.reference``."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from tillroll import settings
from tillroll.cli.checkout import require_checkout
from tillroll.cli.main import cli

__all__ = ["PAGE", "commands", "reference"]

PAGE = Path("docs/cli.md")

HEAD = """# The command line

<!-- Made from the commands by `python -m tillroll.cli.reference`; change those instead. -->

Results go to stdout, everything else to stderr. Exit code: 0 done, 1 refused or failed, 2 a command that cannot be meant.
Every command takes `--json` and `-v`; `-h` says what it does."""


def reference() -> str:
    """The page, ending in a line break."""
    return "\n\n".join([HEAD, _environment(), *(_section(context) for context in commands())]) + "\n"


def commands(command: click.Command = cli, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Every command and group below `command`, itself included, each with its context."""
    context = click.Context(
        command, parent, "tillroll" if parent is None else command.name, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, context)


def _environment() -> str:
    """The table of variables, as the module that reads them documents it."""
    lines = (settings.__doc__ or "").splitlines()
    return "## Environment\n\n" + "\n".join(line for line in lines if line.startswith("|"))


def _section(context: click.Context) -> str:
    command = context.command
    parts = [
        f"## {context.command_path}",
        _paragraphs(command.help or ""),
        f"```\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```",
    ]
    if isinstance(command, click.Group):
        rows = [
            (name, command.commands[name].get_short_help_str(200)) for name in command.list_commands(context)
        ]
        parts.append(_table(("command", "does"), rows))
    else:
        options = [param for param in command.get_params(context) if isinstance(param, click.Option)]
        records = [option.get_help_record(context) for option in options]
        parts.append(_table(("option", "meaning"), [record for record in records if record]))
    return "\n\n".join(parts)


def _paragraphs(text: str) -> str:
    return inspect.cleandoc(text).replace("*", "\\*")


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{first}` | {second.replace('|', '/')} |" for first, second in rows)])


if __name__ == "__main__":
    (require_checkout() / PAGE).write_text(reference(), encoding="utf-8")
