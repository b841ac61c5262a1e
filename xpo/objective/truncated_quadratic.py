"""The squared loss of reward differences, up to the target only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "truncated_quadratic")
@dataclass(frozen=True)
class TruncatedQuadratic(PairLoss):
    """max(0, 1 - gap)^2: a gap beyond 1 costs nothing more. GPO, Tang et al. 2024, arXiv 2402.05749.

    Where all gaps lie within 1 it is objective=quadratic, and convex: if quadratic's optimum, gaps of
    2 (P(i beats ref) - P(j beats ref)), lies there, it is this one's too. Else no closed form is known.
    """

    @property
    def fits(self) -> str:
        return "win_rate"

    @property
    def fit_scale(self) -> float:
        return 2.0

    @property
    def fit_limit(self) -> float:
        return 1.0

    def curve(self, gap: Tensor) -> Tensor:
        return (1 - gap).clamp(min=0).square()

    def curve_text(self, gap: str) -> str:
        return f"relu(1 - {gap})**2"

    def curve_latex(self, gap: str) -> str:
        return rf"\max\left(0, 1 - {gap}\right)^2"
