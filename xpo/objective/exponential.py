"""The exponential loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.divergence.base import EXPONENT_LIMIT
from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "exponential")
@dataclass(frozen=True)
class Exponential(PairLoss):
    """e^-gap: AdaBoost's loss, a member of GPO. Tang et al. 2024, arXiv 2402.05749, section 3.

    P e^-d + (1 - P) e^d is least at half the log-odds of P, so its optimum is DPO's at twice the beta.
    Beyond 40 nats the exponential goes on as its tangent: convex, no overflow, no flat end.
    """

    @property
    def fits(self) -> str:
        return "log_odds"

    @property
    def fit_scale(self) -> float:
        return 0.5

    def curve(self, gap: Tensor) -> Tensor:
        limit = torch.tensor(EXPONENT_LIMIT, dtype=gap.dtype, device=gap.device)
        return torch.minimum(-gap, limit).exp() + limit.exp() * (-gap - limit).clamp(min=0)

    def curve_text(self, gap: str) -> str:
        return f"exp(-{gap})"

    def curve_latex(self, gap: str) -> str:
        return rf"e^{{-{gap}}}"
