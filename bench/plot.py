"""Plots as SVG, written by hand: bars on a logarithmic scale, and lines. Readable on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "bars", "lines"]

WIDTH, LEFT, RIGHT, ROW, TOP = 900, 330, 90, 26, 44
OURS, THEIRS, INK, GRID = "#2f7d4f", "#8a8f98", "#7a7f87", "#b9bec6"
COLOURS = (OURS, "#b0622b", "#4667a8", "#8a4b8f")
PLOT_HEIGHT = 240


@dataclass(frozen=True)
class Bar:
    """A value with the spread of its runs; ours are green."""

    label: str
    value: float
    low: float
    high: float
    ours: bool


def bars(title: str, found: Sequence[Bar]) -> str:
    """Horizontal bars over powers of ten, each with its value and its spread."""
    low = math.floor(math.log10(min(bar.low for bar in found)))
    high = math.ceil(math.log10(max(bar.high for bar in found)))
    height = TOP + ROW * len(found) + 24

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - low) / max(1, high - low) * (WIDTH - LEFT - RIGHT)

    parts = [_text(10, 22, title, bold=True)]
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts += [_line(at, TOP - 8, at, height - 22), _text(at, height - 6, f"{10**power:,}", "middle")]
    for n, bar in enumerate(found):
        y = TOP + n * ROW
        colour = OURS if bar.ours else THEIRS
        parts.append(_text(LEFT - 8, y + 14, bar.label, "end"))
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{x(bar.value) - LEFT:.1f}" height="{ROW - 8}" fill="{colour}"/>'
        )
        parts.append(_line(x(bar.low), y + 9, x(bar.high), y + 9, INK, 2))
        parts.append(_text(x(bar.high) + 6, y + 14, f"{bar.value:,.0f}"))
    return _svg(height, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], across: str) -> str:
    """Lines over a logarithmic x; y begins at nought. across: what x is."""
    points = [point for line in series.values() for point in line]
    low, high = (math.log10(pick(x for x, _ in points)) for pick in (min, max))
    most = max(y for _, y in points) * 1.1
    height = TOP + PLOT_HEIGHT + 40
    bottom = TOP + PLOT_HEIGHT

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = 90 + (math.log10(point[0]) - low) / ((high - low) or 1) * (WIDTH - 330)
        return x, bottom - point[1] / most * PLOT_HEIGHT

    parts = [_text(10, 22, title, bold=True), _text(90, height - 4, across)]
    for share in range(5):
        y = most * share / 4
        level = at((10**low, y))[1]
        parts += [
            _line(90, level, WIDTH - 240, level),
            _text(84, level + 4, f"{y:,.3g}" if y < 100 else f"{y:,.0f}", "end"),
        ]
    for x in sorted({x for x, _ in points}):
        parts.append(_text(at((x, 0))[0], bottom + 18, f"{x:,.0f}", "middle"))
    for n, (name, line) in enumerate(series.items()):
        colour, placed = COLOURS[n % len(COLOURS)], [at(point) for point in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
        parts.append(_text(WIDTH - 225, TOP + 16 + n * 20, name, colour=colour))
    return _svg(height, parts)


def _svg(height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="system-ui, sans-serif" font-size="12.5">'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, bold: bool = False, colour: str = INK
) -> str:
    weight = ' font-weight="600" font-size="15"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = GRID, width: int = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
