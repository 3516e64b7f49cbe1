"""Results into docs/performance.md and README, between their markers, and the plots beside it: ``python -m bench.docs RESULTS``."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import keeping, report, targets
from bench.plot import Bar, bars, lines

__all__ = ["SHOWN", "between", "generated", "plots", "write"]

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- bench, {sizes}: from here on generated -->", "<!-- bench, {sizes}: to here -->"
HEADLINE = (
    targets.LOOP,
    targets.FIVE_HUNDRED,
    "confluent-kafka batches, fastavro, executemany",
    targets.QUIX,
    targets.EVENTSOURCING,
    "Spark, batch from Kafka to JDBC",
    targets.KAFKA,
    targets.POSTGRES,
)
"""Who stands in the first plot: those who do the same with the same events."""
SHOWN = ("quick", "full")
"""Sizes of the results that the page shows; the plots of the first have plain names, as README shows one of them."""


def write(results: dict[str, Any], docs: Path = DOCS) -> None:
    """The page and the plots of `results`, and README's line."""
    page = docs / "performance.md"
    folder = docs / "plots"
    folder.mkdir(exist_ok=True)
    sizes = results["sizes"]
    prefix = "" if sizes == SHOWN[0] else f"{sizes}-"
    drawn = {f"{prefix}{name}": svg for name, svg in plots(results)}
    text = between(page.read_text(encoding="utf-8"), generated(results, list(drawn)), sizes)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    if sizes == SHOWN[0] and (line := headline(results)):
        readme = docs.parent / "README.md"
        told = between(readme.read_text(encoding="utf-8"), line, "headline")
        readme.write_text(told, encoding="utf-8")


def headline(results: dict[str, Any]) -> str | None:
    """README's sentence; None where somebody in it has no figure."""
    found = [
        one for section in results["sections"] if section["name"] == "flat" for one in section["scenarios"]
    ]
    rates = {one["name"]: report.rate(one) for one in found if one["runs"]}
    names = (targets.KAFKA, targets.POSTGRES, targets.LOOP, targets.ADMISSION)
    if not rates.keys() >= set(names):
        return None
    kafka, postgres, loop, admission = (rates[name] for name in names)
    return (
        f"**One process rebuilds a read model from Kafka at {round(kafka, -3):,.0f} events a second** on {results['machine']['cores']} cores, rows in PostgreSQL "
        f"included: {kafka / loop:,.0f} times the consumer loop that people write, with the same rows. From the embedded log it is {round(postgres, -3):,.0f}. "
        f"Before a log in Kafka is read for the first time its duplicates are settled, once, {round(admission, -3):,.0f} events a second. "
        "[Measured beside five libraries](docs/performance.md), method and losses included:"
    )


def between(page: str, text: str, sizes: str) -> str:
    """`page` with `text` between its markers for `sizes`. Raises ValueError where they are missing."""
    first, last = BEGIN.format(sizes=sizes), END.format(sizes=sizes)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"docs/performance.md lacks its markers: {first} ... {last}")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def generated(results: dict[str, Any], drawn: list[str]) -> str:
    """Targets, plots, tables and the machine."""
    shown = "\n\n".join(f"![{name}](plots/{name}.svg)" for name in drawn)
    whole = results["sizes"] == SHOWN[0]  # of the others, sections may be measured one by one
    reached = targets.table(results, unmeasured=whole)
    parts = [_machine(results), "### Targets", reached, "### Plots", shown, "### Tables"]
    return "\n\n".join([*parts, report.tables(results)])


def plots(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and SVG of every plot that the results have figures for."""
    found = {section["name"]: section for section in results["sections"]}
    for name, title in (
        ("flat", "Rebuilding one read model, events a second"),
        ("import", "Importing, events a second"),
    ):
        if name in found and (drawn := _bars(found[name])):
            yield ("rebuild" if name == "flat" else name), bars(f"{title} (logarithmic scale)", drawn)
    growing = {
        log: _growth(found[f"growth on {log}"])
        for log in ("Kafka", "PostgresLog")
        if f"growth on {log}" in found
    }
    if all(growing.values()) and growing:
        yield (
            "growth",
            lines("Rebuild as the history grows, events a second", growing, "events in the history"),
        )
    if "latency" in found and (waits := _waits(found["latency"])):
        yield "latency", lines("Publish to visible, milliseconds", waits, "events a second")


def _bars(section: dict[str, Any]) -> list[Bar]:
    return [
        Bar(one["name"], report.rate(one), *report.spread(one), one["name"].startswith("tillroll"))
        for one in section["scenarios"]
        if one["runs"] and (section["name"] != "flat" or one["name"] in HEADLINE)
    ]


def _growth(section: dict[str, Any]) -> list[tuple[float, float]]:
    """(events, events a second) of each size; the name says the size."""
    sizes = [(one["name"].split(" ")[1], one) for one in section["scenarios"] if one["runs"]]
    return [(float(size.replace(",", "")), report.rate(one)) for size, one in sizes]


def _waits(section: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    out: dict[str, list[tuple[float, float]]] = {}
    for row in section["rows"]:
        for share in ("p50", "p99"):
            if isinstance(row.get(share), float) and row[share] != float("inf"):
                name = f"{row['log'].partition(',')[0]}, {share}"
                out.setdefault(name, []).append((row["events/s"], row[share]))
    return out


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"Sizes {results['sizes']}; {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, PostgreSQL {machine['postgres']}, Kafka {machine['kafka']}; "
        f"{libraries}. Sections: {keeping.measured(results)}."
    )


def main() -> None:
    """Write the page anew."""
    parser = argparse.ArgumentParser(prog="bench.docs", description=__doc__)
    parser.add_argument("results", type=Path, help="a file of bench/results")
    write(json.loads(parser.parse_args().results.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
