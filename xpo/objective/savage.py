"""The Savage loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "savage")
@dataclass(frozen=True)
class Savage(PairLoss):
    """(1 + e^gap)^-2: the squared probability of the other order. Masnadi-Shirazi and Vasconcelos 2008.

    A member of GPO, Tang et al. 2024, arXiv 2402.05749, listed there though it is not convex: bounded by
    1, so that a pair that is badly wrong has next to no gradient (robust to outliers, slow from a bad
    start). It is Brier's score of sigmoid(gap), a proper score: its optimum is DPO's.
    """

    @property
    def fits(self) -> str:
        return "log_odds"

    def curve(self, gap: Tensor) -> Tensor:
        return (-gap).sigmoid().square()

    def curve_text(self, gap: str) -> str:
        return f"(1 + exp{gap})**-2"

    def curve_latex(self, gap: str) -> str:
        return rf"\left(1 + e^{{{gap}}}\right)^{{-2}}"
