"""The squared loss of reward differences, on a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "squared")
@dataclass(frozen=True)
class Squared(PairLoss):
    """IPO: (gap - 1 / (2 tau))^2. Azar et al. 2023, arXiv 2310.12036, eq. 17.

    ``tau`` is the only scale, so beta is fixed at 1. length=sum is the paper's equation, length=mean
    what most code trains; the best tau differs by the length of a response between the two.
    """

    fixed_beta: ClassVar[float | None] = 1.0
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

    def curve(self, gap: Tensor) -> Tensor:
        return (gap - 1 / (2 * self.tau)).square()

    def curve_text(self, gap: str) -> str:
        return f"({gap} - 1 / (2 * {self.tau!r}))**2"

    def curve_latex(self, gap: str) -> str:
        return rf"\left({gap} - \frac{{1}}{{2 \cdot {self.tau}}}\right)^2"
