"""The squared loss of reward differences, at the scale of the reward."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "quadratic")
@dataclass(frozen=True)
class Quadratic(PairLoss):
    """(1 - gap)^2: the squared member of GPO. Tang et al. 2024, arXiv 2402.05749, section 3.

    With gap = beta h it is beta^2 (h - 1/beta)^2, which is beta^2 times objective=squared (IPO) at
    tau = beta / 2: the same optimum, gradients of another size. (gap - fit_scale / 2)^2 with fit_scale 2.
    Labels count as pointwise, as in the survey's row of GPO; in its row of IPO they are win rates.
    """

    @property
    def fits(self) -> str:
        return "win_rate"

    @property
    def fit_scale(self) -> float:
        return 2.0

    def curve(self, gap: Tensor) -> Tensor:
        return (1 - gap).square()

    def curve_text(self, gap: str) -> str:
        return f"(1 - {gap})**2"

    def curve_latex(self, gap: str) -> str:
        return rf"\left(1 - {gap}\right)^2"
