"""The log odds ratio of two responses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, gap_latex, gap_text, gaps, given, over_pairs, widened
from xpo.registry import register

CERTAIN = -1e-6
"""Above this log-probability the log-odds continue linearly: their slope 1 / (1 - p) has no limit."""


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^x) for x <= 0, each branch evaluated inside its own domain so that no gradient is NaN."""
    near = x > -math.log(2.0)
    near_x = torch.where(near, x, -1.0)
    far_x = torch.where(near, -1.0, x)
    return torch.where(near, torch.log(-torch.expm1(near_x)), torch.log1p(-torch.exp(far_x)))


def log_odds(logp: Tensor) -> Tensor:
    """log p - log(1 - p) from log p <= 0, in float32 or better, with a finite slope up to p = 1."""
    logp = widened(logp)
    inside = logp.clamp(max=CERTAIN)
    return inside - log1mexp(inside) + (logp - CERTAIN).clamp(min=0) / -math.expm1(CERTAIN)


@register("objective", "odds_ratio")
@dataclass(frozen=True)
class OddsRatio(Declared):
    """ORPO: -log sigmoid(log odds_i - log odds_j). Hong et al. 2024, arXiv 2403.07691, eq. 7.

    The reward must be the mean log-probability itself (length=mean, no reference, beta 1). The paper's
    likelihood term and its lambda are sft=merged: ``sft.preference_weight`` is lambda.
    """

    difference: ClassVar[bool] = False
    fixed_beta: ClassVar[float | None] = 1.0
    nonpositive_reward: ClassVar[bool] = True
    reads_roles: ClassVar[bool] = False  # reward 0 would be a certain response: its odds are infinite

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        odds_BK = log_odds(masked(reward_BK, batch.present_BK))
        loss_BKK = -logsigmoid(gaps(odds_BK, odds_BK, batch, context))
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_text(f"log_odds({preferred})", f"log_odds({dispreferred})", margin)
        return f"sum_ij(prefer * -log_sigmoid{gap})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        odds = r"\operatorname{logit} e^{%s}"
        return rf"-\log\sigma{gap_latex(odds % preferred, odds % dispreferred, margin)}"
