"""Both responses of a pair down, the worse one further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, gaps, given, over_pairs
from xpo.objective.words import at, gap_latex, gap_text
from xpo.registry import register


@register("objective", "anchored_down")
@dataclass(frozen=True)
class AnchoredDown(Declared):
    """APO-down: sigmoid(reward_i) + 1 - sigmoid(gap). D'Oosterlinck et al. 2024, arXiv 2408.06266.

    For a model that is better than the preferred responses: their likelihood falls too, less than the
    dis-preferred ones'. Both terms saturate: large |reward| and large |gap| have next to no gradient.
    """

    difference: ClassVar[bool] = False

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        preferred_BK, dispreferred_BK = context.roles(masked(reward_BK, batch.present_BK))
        behind_BKK = torch.sigmoid(-gaps(preferred_BK, dispreferred_BK, batch, context))
        loss_BKK = torch.sigmoid(preferred_BK)[:, :, None] + behind_BKK
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_text(preferred, dispreferred, margin)
        return f"sum_ij(prefer * (i(sigmoid({preferred})) + 1 - sigmoid{gap}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\sigma({at(preferred, 'w')}) + 1 - \sigma{gap_latex(preferred, dispreferred, margin)}"
