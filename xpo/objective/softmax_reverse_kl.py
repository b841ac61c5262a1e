"""Reverse KL between the softmax of rewards and that of scores."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective import lists
from xpo.objective.lists import ScoredList
from xpo.registry import register


@register("objective", "softmax_reverse_kl")
@dataclass(frozen=True)
class SoftmaxReverseKL(ScoredList):
    """EXO with scores: KL(softmax(reward) || softmax(scores)). Ji et al. 2024, arXiv 2402.00856.

    The paper's beta_pi is ``reward.beta`` and its beta_r is ``reward.scale``. The gradient flows through
    both factors of sum_k p_k (log p_k - log q_k). It is 0 where reward differences are differences of scores.
    """

    @property
    def fits(self) -> str:
        return "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        ratio_BK = lists.log_softmax(reward_BK, batch.present_BK) - lists.log_softmax(
            score_BK, batch.present_BK
        )
        return (lists.softmax(reward_BK, batch.present_BK) * ratio_BK).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = f"log_softmax({preferred})"
        return f"sum_k(exp({own}) * ({own} - log_softmax(score)))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\mathrm{{KL}}\left(\mathrm{{softmax}}({preferred}) \,\|\, \mathrm{{softmax}}(s)\right)"
