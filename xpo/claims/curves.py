"""A picture of a few curves as SVG, and its place on a page of the docs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from xpo.run.files import write_text

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 380, 60, 40, 20, 50
COLOURS = ("#1b6ca8", "#c8552b", "#3a7d44", "#7a4fa3")


@dataclass(frozen=True)
class Curve:
    """Points in the order of x."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def svg(title: str, across: str, up: str, curves: Sequence[Curve], names: float = LEFT + 12) -> str:
    """Both axes are linear and reach from 0, or the least value below it, to the largest.

    ``names``: where those of the curves begin, from the left.
    """
    xs = [x for curve in curves for x in curve.x]
    ys = [y for curve in curves for y in curve.y]
    frame = _Frame(min(0.0, *xs), max(xs), min(0.0, *ys), max(ys))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 22, title, 'text-anchor="middle" font-size="15"'),
        _text(WIDTH / 2, HEIGHT - 10, across, 'text-anchor="middle" font-size="12"'),
        _text(16, TOP - 12, up, 'font-size="12"'),
        *frame.axes(),
    ]
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(curve.x, curve.y, strict=True))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        parts.append(_text(names, TOP + 14 + 16 * number, curve.name, f'font-size="12" fill="{colour}"'))
    return "\n".join([*parts, "</svg>", ""])


def insert(page: Path, name: str, text: str) -> None:
    """Put a section between the marks that the page has for it. ``ValueError`` where there are none."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = page.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise ValueError(f"{page} has no place for the section {name}: {begin} and {end}")
    write_text(page, f"{old.split(begin)[0]}{begin}\n{text}\n{end}{old.split(end)[1]}")


@dataclass(frozen=True)
class _Frame:
    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.low_x) / (self.high_x - self.low_x) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low_y) / (self.high_y - self.low_y) * (HEIGHT - TOP - BOTTOM)

    def axes(self) -> Iterator[str]:
        """Five marks on each."""
        for i in range(5):
            x = self.low_x + i / 4 * (self.high_x - self.low_x)
            y = self.low_y + i / 4 * (self.high_y - self.low_y)
            yield f'<path d="M{LEFT} {self.y(y):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
            yield _text(self.x(x), HEIGHT - BOTTOM + 18, _mark(x), 'text-anchor="middle" font-size="11"')
            yield _text(LEFT - 8, self.y(y) + 4, f"{y:.2g}", 'text-anchor="end" font-size="11"')


def _mark(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
