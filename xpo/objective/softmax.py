"""Cross entropy between the softmax of scores and that of rewards."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective import lists
from xpo.objective.lists import ScoredList
from xpo.registry import register


@register("objective", "softmax")
@dataclass(frozen=True)
class Softmax(ScoredList):
    """InfoNCA: -sum_k q_k log softmax(reward)_k with q = softmax(scores). Chen et al. 2024,
    arXiv 2402.05369; the softmax loss of Liu et al. 2024, arXiv 2402.01878.

    q's temperature is ``reward.scale``. Equal scores share q, so a list in which all tie pulls its rewards
    together. The expected loss is least where reward differences are differences of scores.
    """

    @property
    def fits(self) -> str:
        return "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        target_BK = lists.softmax(score_BK, batch.present_BK)
        return -(target_BK * lists.log_softmax(reward_BK, batch.present_BK)).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"-sum_k(exp(log_softmax(score)) * log_softmax({preferred}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"-\sum_k \mathrm{{softmax}}(s)_k \log \mathrm{{softmax}}({preferred})_k"
