"""Whether the command runs in a checkout of tillroll, and where that begins."""

from pathlib import Path

from tillroll.errors import UsageError

__all__ = ["find_checkout", "require_checkout"]

_MARKS = ("schemas/tillroll/schemas/topics.toml", "projections/tillroll/projections", "pyproject.toml")


def find_checkout(start: Path | None = None) -> Path | None:
    """The checkout that the folder `start` (the current one unless given) lies in, or None."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if all((folder / mark).exists() for mark in _MARKS):
            return folder
    return None


def require_checkout() -> Path:
    """The checkout around the current folder. Raises UsageError where there is none."""
    root = find_checkout()
    if root is None:
        raise UsageError("this works in a checkout of tillroll only: change into its folder")
    return root
