"""Files that are made from the schemas: the pinned ids, the event classes, the page of the contract."""

from collections.abc import Iterator
from pathlib import Path

from tillroll.contract.docs import contract_page
from tillroll.contract.generate import generate_models
from tillroll.contract.registry import Contract
from tillroll.contract.source import pinned_ids

__all__ = ["IDS", "MODELS", "PAGE", "SCHEMAS", "stale_files", "write_generated"]

SCHEMAS = Path("schemas/tillroll/schemas")
IDS = SCHEMAS / "ids.toml"
MODELS = Path("backbone/tillroll/events/_models.py")
PAGE = Path("docs/contract.md")


def stale_files(root: Path) -> list[Path]:
    """The generated files, relative to `root` (a checkout), that differ from what would be generated.

    While a schema has no id yet that is ids.toml alone, since the others name the ids. Raises ContractError for
    schemas that break the rules.
    """
    stale = []
    for path, text in _generated(root):
        if _differs(root / path, text):
            stale.append(path)
        if stale == [IDS]:
            break
    return stale


def write_generated(root: Path) -> list[Path]:
    """Writes the files that differ, and names them relative to `root`. Raises ContractError as `stale_files` does."""
    written = []
    for path, text in _generated(root):
        if _differs(root / path, text):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def _generated(root: Path) -> Iterator[tuple[Path, str]]:
    """Path and text, each made when asked for: the contract is read after the ids were written."""
    yield IDS, pinned_ids(root / SCHEMAS)
    contract = Contract.from_directory(root / SCHEMAS)
    yield MODELS, generate_models(contract)
    yield PAGE, contract_page(contract)
