"""The squared loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective.base import Declared, gap_latex, gap_text, gaps, given, over_pairs
from xpo.registry import register


@register("objective", "squared")
@dataclass(frozen=True)
class Squared(Declared):
    """IPO: (gap - 1 / (2 tau))^2. Azar et al. 2023, arXiv 2310.12036, eq. 17.

    ``tau`` is the only scale, so beta is fixed at 1. length=sum is the paper's equation, length=mean
    what most code trains; the best tau differs by the length of a response between the two.
    """

    fixed_beta: ClassVar[float | None] = 1.0
    implicit_form: ClassVar[str] = "wins"
    implicit_form: ClassVar[str] = "wins"  # of two responses, no reward behind them

    tau: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.tau < float("inf"):
            raise ValueError(f"tau must be above 0 and finite, got {self.tau}")

    @property
    def fits(self) -> str:
        return "win_rate"

    @property
    def fit_scale(self) -> float:
        return 1 / self.tau

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        gap_BKK = gaps(*context.roles(reward_BK), batch, context)
        loss_BKK = (gap_BKK - 1 / (2 * self.tau)).square()
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_ij(prefer * ({gap_text(preferred, dispreferred, margin)} - 1 / (2 * {self.tau!r}))**2)"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_latex(preferred, dispreferred, margin)
        return rf"\left({gap} - \frac{{1}}{{2 \cdot {self.tau}}}\right)^2"
