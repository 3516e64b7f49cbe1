"""README's table of environment variables is what the settings module, the code and the options say."""

import re
from pathlib import Path

import click

from tillroll import settings
from tillroll.cli.main import cli

CHECKOUT = Path(__file__).parents[3]
SOURCES = ("backbone", "cli", "services", "projections")
ROW = re.compile(r"^\| `?(TILLROLL_\w+)`? \|(.*)\|$", re.MULTILINE)
ON_README = {
    name: [cell.strip().replace("`", "") for cell in rest.split("|")]
    for name, rest in ROW.findall((CHECKOUT / "README.md").read_text(encoding="utf-8"))
}


def test_it_names_the_variables_of_the_settings_with_their_defaults() -> None:
    of_settings = {name: rest.split("|") for name, rest in ROW.findall(settings.__doc__ or "")}
    assert list(of_settings) == list(ON_README)
    for name, (_, default) in of_settings.items():
        assert ON_README[name][2].startswith(default.strip()), name


def test_no_other_variable_is_read() -> None:
    """Those of the tests' own are for whoever works on tillroll."""
    files = [
        path
        for source in SOURCES
        for path in (CHECKOUT / source).rglob("*.py")
        if "tillroll/testing" not in path.as_posix()
    ]
    read = {name for path in files for name in re.findall(r"\bTILLROLL_[A-Z_]+\b", path.read_text())}
    assert read == set(ON_README)


def test_the_options_named_are_those_that_read_the_variables() -> None:
    of_options = {
        parameter.envvar: parameter.opts[-1]
        for command in cli.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.envvar
    }
    assert {name: cells[0] for name, cells in ON_README.items() if cells[0]} == of_options
