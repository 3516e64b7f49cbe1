"""docs/cli.md is what the commands say."""

from pathlib import Path

from tillroll.cli.reference import PAGE, reference

REPOSITORY = Path(__file__).parents[3]


def test_the_reference_is_in_step() -> None:
    text = (REPOSITORY / PAGE).read_text(encoding="utf-8")
    assert text == reference(), "run `python -m tillroll.cli.reference`"


def test_the_reference_names_options_variables_and_defaults() -> None:
    text = reference()
    assert "## tillroll dead-letters retry" in text
    assert "| `--log ADDRESS` |" in text
    assert "env var: TILLROLL_LOG" in text
    assert "| TILLROLL_IDENTITY_KEY |" in text
    assert "default: 0.01" in text
