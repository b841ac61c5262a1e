"""The hinge loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective.base import Declared, gap_latex, gap_text, gaps, given, over_pairs
from xpo.registry import register


@register("objective", "hinge")
@dataclass(frozen=True)
class Hinge(Declared):
    """max(0, 1 - gap). Liu et al. 2023, arXiv 2309.06657 (their hinge-norm)."""

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        gap_BKK = gaps(*context.roles(reward_BK), batch, context)
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), (1 - gap_BKK).clamp(min=0))

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_ij(prefer * relu(1 - {gap_text(preferred, dispreferred, margin)}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\max\left(0, 1 - {gap_latex(preferred, dispreferred, margin)}\right)"
