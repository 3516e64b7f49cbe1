"""Names that a new projection cannot have."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tillroll.cli.main import cli
from tillroll.cli.scaffold import new_projection


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("json", "a module of Python"),
        ("sys", "a module of Python"),
        ("tillroll", "an installed package"),
        ("polars", "an installed package"),
        ("pg_sales", "PostgreSQL keeps"),
    ],
)
def test_a_name_that_means_something_else_is_one_line_and_nothing_is_written(
    tmp_path: Path, name: str, told: str
) -> None:
    result = CliRunner().invoke(cli, ["new", "projection", name, "--into", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"{name!r} cannot name a projection" in result.stderr
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["channel_sales", "order_status_lines", "products"])
def test_names_of_projections_and_of_their_views_are_taken(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(cli, ["new", "projection", name, "--into", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{name} already" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_of_the_current_folder_are_no_modules_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "goods_in.py").touch()
    files, _ = new_projection("goods_in", [], tmp_path / "mine")
    assert [file.name for file in files] == ["goods_in.py", "test_goods_in.py"]
