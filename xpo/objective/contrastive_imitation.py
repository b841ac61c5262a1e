"""A response is imitated only as far as the best one stays ahead of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.lists import ScoredList
from xpo.registry import register


@register("objective", "contrastive_imitation")
@dataclass(frozen=True)
class ContrastiveImitation(ScoredList):
    """Stable alignment: max(0, mean_i [reward_i - reward_best + strength (score_best - score_i)]), i over
    the responses that score below the best. Liu et al. 2023, arXiv 2305.16960.

    The paper's rating scale is ``reward.scale``, its likelihood of the best response sft=merged. ``over``
    takes the mean over the others, or their max. Best responses that tie stand together as the mean of
    their rewards; a list in which all tie has the loss 0. The official code looks scores up in the sorted
    list by their unsorted place, here each response has its own.
    """

    strength: float = 1.0
    over: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        if not 0 < self.strength < float("inf"):
            raise ValueError(f"strength must be above 0 and finite, got {self.strength}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        top_B1 = score_BK.masked_fill(~batch.present_BK, -torch.inf).amax(1, keepdim=True)
        best_BK = batch.present_BK & (score_BK == top_B1)
        worse_BK = batch.present_BK & ~best_BK
        best_B1 = masked(reward_BK, best_BK).sum(1, keepdim=True) / best_BK.sum(1, keepdim=True).clamp(min=1)
        lead_BK = masked(reward_BK - best_B1 + self.strength * (top_B1 - score_BK), worse_BK)
        if self.over == "max":  # of the others and 0
            return lead_BK.amax(1).clamp(min=0)
        return (lead_BK.sum(1) / worse_BK.sum(1).clamp(min=1)).clamp(min=0)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        top = "max_k(score)"
        best = f"sum_k(({top} <= score) * {preferred}) / sum_k({top} <= score)"
        worse = f"({top} > score)"
        lead = f"{worse} * ({dispreferred} - {best} + {self.strength!r} * ({top} - score))"
        if self.over == "max":
            return f"relu(max_k({lead}))"
        return f"relu(sum_k({lead}) / maximum(1, sum_k{worse}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        over = {"mean": r"\tfrac{1}{|\{i\}|} \sum_i", "max": r"\max_i"}[self.over]
        lead = rf"{dispreferred}(y_i) - {preferred}(y^*) + {self.strength} (s^* - s_i)"
        return rf"\max\left(0, {over} \left[{lead}\right]\right), \quad i: s_i < s^*"
