"""Scores regressed on rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective.lists import ScoredList
from xpo.registry import register


@register("objective", "point_squared")
@dataclass(frozen=True)
class PointSquared(ScoredList):
    """Point-MSE: (reward - score)^2, each response on its own. Liu et al. 2024, arXiv 2402.01878.

    The paper sums over a list, here each response counts by ``Batch.share_BK``: a list has the mean, the
    sum divided by K. The constant of the prompt is not free, so the scale and zero of the scores matter.
    """

    difference: ClassVar[bool] = False
    listwise: ClassVar[bool] = False
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        return (batch.share_BK.to(reward_BK.dtype) * (reward_BK - score_BK).square()).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_k(share * ({preferred} - score)**2)"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\frac{{1}}{{K}} \sum_k \left({preferred}(y_k) - s_k\right)^2"
