"""Results on disk: a run that takes hours is kept section by section, and one section can be measured anew."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["keep", "measured"]

Results = dict[str, Any]


def keep(results: Results, path: Path, order: list[str]) -> Results:
    """`results` in the file at `path`, with those of groups of sections that only an earlier run has.

    order: the groups, as they are told. What was measured elsewhere, or with other versions, is not kept beside.
    """
    groups = {section["group"] for section in results["sections"]}
    before = [section for section in _before(results, path) if section["group"] not in groups]
    sections = sorted([*before, *results["sections"]], key=lambda section: order.index(section["group"]))
    together = results | {"sections": sections}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(together, indent=1) + "\n", encoding="utf-8")
    return together


def measured(results: Results) -> str:
    """When and of which commit the sections are, those of one commit together."""
    told = []
    for commit, sections in groupby(results["sections"], lambda section: section["commit"]):
        found = list(sections)
        groups = ", ".join(dict.fromkeys(section["group"] for section in found))
        told.append(f"{groups} of commit {commit}, from {min(section['at'] for section in found)} on")
    return "; ".join(told)


def _before(results: Results, path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    known = json.loads(path.read_text(encoding="utf-8"))
    same = all(known.get(part) == results.get(part) for part in ("machine", "sizes", "numbers"))
    return list(known["sections"]) if same else []
