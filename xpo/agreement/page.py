"""``agreement.html``: the numbers and the calibration curve on one page without other files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from xpo.agreement.measures import Bin
from xpo.agreement.report import Report
from xpo.run.files import write_text
from xpo.written import written

_PAGE = Path(__file__).with_name("page.html")
_SIZE, _LEFT, _TOP = 400.0, 56.0, 12.0
"""Of the square that the curve is drawn in, and where it stands."""
_BARS = 64.0


def write_page(path: Path, report: Report) -> Path:
    """Write the page of a report."""
    rows = "\n".join(
        f"<tr><th>{escape(line.title)}</th><td>{line.value}</td><td>{line.interval}</td>"
        f"<td class=note>{escape(line.note)}</td></tr>"
        for line in report.lines
    )
    about = ", ".join(
        f"{key}={written(value)}" for key, value in report.about["annotator"].items() if value is not None
    )
    page = Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(report.title),
        about=escape(f"{about}; {report.about['split']} rows of {report.about['data']}"),
        rows=rows,
        calibration=_section(report),
    )
    return write_text(path, page)


def _section(report: Report) -> str:
    if report.error is None:
        return "<p>The annotator gives no probabilities, so there is no calibration curve.</p>"
    bins = "\n".join(
        f"<tr><th>{100 * one.low:.0f} to {100 * one.high:.0f} %</th><td>{one.pairs:.0f}</td>"
        f"<td>{100 * one.predicted:.1f} %</td><td>{100 * one.observed:.1f} %</td></tr>"
        for one in report.bins
    )
    return (
        f"<p>Expected calibration error {100 * report.error:.1f} %. Each pair stands on both sides of 50 %; "
        "single responses stand once. Below: how many a bin holds.</p>"
        f'<div class="side">{curve(report.bins)}<table><thead><tr><th>probability</th><td>number</td>'
        f"<td>mean</td><td>label says so</td></tr></thead><tbody>{bins}</tbody></table></div>"
    )


def curve(bins: Sequence[Bin]) -> str:
    """Frequency over probability as an SVG, with the diagonal of perfect calibration and bars of counts."""
    height = _TOP + _SIZE + 34 + _BARS + 14
    points = [(_x(one.predicted), _y(one.observed)) for one in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{one.pairs:.0f} pairs: mean probability '
        f"{100 * one.predicted:.1f} %, label {100 * one.observed:.1f} %</title></circle>"
        for one, (x, y) in zip(bins, points, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {_LEFT + _SIZE + 24:.0f} {height:.0f}" role="img" '
        'aria-label="Calibration: how often the label agrees, over the probability that the annotator gives">'
        f"{_axes()}"
        f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>'
        f'<polyline class="curve" points="{line}"/>{dots}{_counts(bins)}</svg>'
    )


def _axes() -> str:
    parts = [f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIZE}" height="{_SIZE}"/>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y, words = _x(tick), _y(tick), f"{100 * tick:.0f} %"
        parts.append(f'<line class="grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{_TOP + _SIZE}"/>')
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_LEFT + _SIZE}" y2="{y}"/>')
        parts.append(f'<text x="{x}" y="{_TOP + _SIZE + 16}" text-anchor="middle">{words}</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{words}</text>')
    middle = _TOP + _SIZE / 2
    parts.append(
        f'<text class="name" transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">'
        "the label says so</text>"
    )
    return "".join(parts)


def _counts(bins: Sequence[Bin]) -> str:
    """Bars below the curve, with the axis's name under them."""
    most = max(one.pairs for one in bins)
    base = _TOP + _SIZE + 26 + _BARS
    bars = "".join(
        f'<rect class="bar" x="{_x(one.low) + 1:.1f}" y="{base - _BARS * one.pairs / most:.1f}" '
        f'width="{_SIZE * (one.high - one.low) - 2:.1f}" height="{_BARS * one.pairs / most:.1f}"/>'
        for one in bins
    )
    name = f'<text class="name" x="{_x(0.5)}" y="{base + 16}" text-anchor="middle">'
    return f"{bars}{name}the annotator&#8217;s probability that a response is better</text>"


def _x(share: float) -> float:
    return _LEFT + _SIZE * share


def _y(share: float) -> float:
    return _TOP + _SIZE * (1 - share)
