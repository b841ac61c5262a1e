"""Noise-contrastive classification of each response of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective import lists
from xpo.objective.lists import ScoredList
from xpo.registry import register


@register("objective", "noise_contrastive_list")
@dataclass(frozen=True)
class NoiseContrastiveList(ScoredList):
    """NCA: sum_k -q_k log sigmoid(reward_k) - log sigmoid(-reward_k) / K, q = softmax(scores).

    Chen et al. 2024, arXiv 2402.05369. q's temperature is ``reward.scale``. Not only differences count:
    the second term pulls every reward down, so that the likelihood of the best response need not fall.
    """

    difference: ClassVar[bool] = False

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        target_BK = lists.softmax(score_BK, batch.present_BK)
        noise_BK = masked(logsigmoid(-reward_BK), batch.present_BK)
        size_B = batch.present_BK.sum(1).clamp(min=1)
        return -(target_BK * logsigmoid(reward_BK)).sum(1) - noise_BK.sum(1) / size_B

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        noise = f"log_sigmoid(-{dispreferred}) / responses"
        return f"-sum_k(exp(log_softmax(score)) * log_sigmoid({preferred}) + {noise})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        data = rf"\mathrm{{softmax}}(s)_k \log\sigma({preferred}(y_k))"
        return rf"-\sum_k \left[{data} + \tfrac{{1}}{{K}} \log\sigma(-{dispreferred}(y_k))\right]"
