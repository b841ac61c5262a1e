"""Outcomes as numbers with their spread, and as a Markdown table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xpo.claims.claim import Check, Claim
from xpo.claims.measure import Outcome

T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
"""97.5 % points of Student's t by degrees of freedom."""


@dataclass(frozen=True)
class Line:
    """One check of a claim: its values by seed in the default world, those in other worlds, the verdict."""

    claim: Claim
    check: Check
    seeds: tuple[float, ...]
    worlds: tuple[float, ...]
    holds: bool

    @property
    def mean(self) -> float:
        return sum(self.seeds) / len(self.seeds)

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mean over seeds (Student's t); NaN for one seed."""
        n = len(self.seeds)
        if n < 2:
            return math.nan
        variance = sum((value - self.mean) ** 2 for value in self.seeds) / (n - 1)
        return T_95[n - 1] * math.sqrt(variance / n)


def lines(claims: Sequence[Claim], outcomes: Mapping[str, Sequence[Outcome]]) -> list[Line]:
    """A line for every check, in the order of the claims."""
    return [_line(claim, check, outcomes[claim.name]) for claim in claims for check in claim.checks]


def _line(claim: Claim, check: Check, outcomes: Sequence[Outcome]) -> Line:
    return Line(
        claim,
        check,
        tuple(o.metrics[check.metric] for o in outcomes if o.variant.world == 0),
        tuple(o.metrics[check.metric] for o in outcomes if o.variant.world != 0),
        all(check.holds(o.metrics, o.other) for o in outcomes),
    )


def markdown(found: Sequence[Line], commits: Mapping[str, str] | None = None) -> str:
    """A table; a claim's command and the commit that it was measured at stand in its first line."""
    columns = ["claim", "overrides", "metric", "must be", "mean over seeds", "range", "other worlds", "holds"]
    columns += ["commit"] if commits is not None else []
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    before = None
    for line in found:
        first = line.claim.name != before
        before = line.claim.name
        rows.append(
            f"| {line.claim.says if first else ''} | {_code(line.claim.run) if first else ''} | "
            f"`{line.check.metric}` | {line.check.text()} | {_mean(line)} | {_range(line.seeds)} | "
            f"{_range(line.worlds)} | {_verdict(line)} |"
            + ("" if commits is None else f" {commits[line.claim.name] if first else ''} |")
        )
    return "\n".join(rows)


def _code(run: Sequence[str]) -> str:
    return f"`{' '.join(run)}`"


def _mean(line: Line) -> str:
    if math.isnan(line.half_width):
        return f"{line.mean:.4f}"
    return f"{line.mean:.4f} ± {line.half_width:.4f}"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}" if values else ""


def _verdict(line: Line) -> str:
    if line.check.rule is None:
        return ""
    return "yes" if line.holds else "**no**"
