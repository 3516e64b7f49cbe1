"""Results told as Markdown: from the JSON of a run alone, so that it can be told anew at any time."""

import statistics
from typing import Any

__all__ = ["rate", "spread", "table", "tables"]


def tables(results: dict[str, Any]) -> str:
    """All sections, each with its heading."""
    return "\n\n".join(f"#### {_heading(section)}\n\n{_body(section)}" for section in results["sections"])


def table(section: dict[str, Any]) -> str:
    """One section's contenders, the first one being the measure."""
    lines = [
        f"| contender | {section['unit']} | runs | {section['unit']}/s | spread | × the first | CPU s / 1M | peak MiB | rows right |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    first = section["scenarios"][0]
    base = rate(first) if first["runs"] else None
    return "\n".join(lines + [_line(scenario, base) for scenario in section["scenarios"]])


def rate(scenario: dict[str, Any]) -> float:
    """Units a second, the median of the runs."""
    return float(statistics.median(_rates(scenario)))


def spread(scenario: dict[str, Any]) -> tuple[float, float]:
    """The slowest and the fastest run."""
    rates = _rates(scenario)
    return min(rates), max(rates)


def _heading(section: dict[str, Any]) -> str:
    title = section["title"]
    return f"{title[0].upper()}{title[1:]} ({section['events']:,} events)"


def _body(section: dict[str, Any]) -> str:
    parts = [table(section)] if section["scenarios"] else []
    return "\n\n".join(parts + ([_further(section["rows"])] if section["rows"] else []))


def _line(scenario: dict[str, Any], base: float | None) -> str:
    if not scenario["runs"]:
        return f"| {scenario['name']} | {scenario['problem']} | | | | | | | |"
    low, high = spread(scenario)
    per_million = statistics.median(run["cpu"] / run["units"] for run in scenario["runs"]) * 1e6
    peak = max(run["peak"] for run in scenario["runs"]) / 2**20
    ratio = f"{rate(scenario) / base:,.{1 if rate(scenario) < 10 * base else 0}f}" if base else ""
    cells = (
        scenario["name"],
        f"{statistics.median(run['units'] for run in scenario['runs']):,.0f}",
        str(len(scenario["runs"])),
        f"{rate(scenario):,.0f}",
        f"{low:,.0f} - {high:,.0f}",
        ratio,
        f"{per_million:,.1f}",
        f"{peak:,.0f}",
        _right(scenario),
    )
    return f"| {' | '.join(cells)} |"


def _right(scenario: dict[str, Any]) -> str:
    said = {run["right"] for run in scenario["runs"]}
    if said == {None}:
        return "-"
    told = "NO" if False in said else "yes"
    return f"{told}, then: {scenario['problem']}" if scenario["problem"] else told


def _further(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = [
        f"| {' | '.join(names)} |",
        f"|{'|'.join('--:' if _is_number(rows, n) else '---' for n in names)}|",
    ]
    return "\n".join(lines + [f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in rows])


def _is_number(rows: list[dict[str, Any]], name: str) -> bool:
    return any(isinstance(row.get(name), (int, float)) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _rates(scenario: dict[str, Any]) -> list[float]:
    return [run["units"] / run["seconds"] for run in scenario["runs"]]
