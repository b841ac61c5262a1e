"""Ranking a whole list by scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.lists import ScoredList
from xpo.objective.words import at
from xpo.registry import register


@register("objective", "preference_ranking")
@dataclass(frozen=True)
class PreferenceRanking(ScoredList):
    """PRO: every response against all that score lower. Song et al. 2023, arXiv 2306.17492, eq. 7.

    sum_i -log [e^(r_i T_i) / (e^(r_i T_i) + sum_j e^(r_j T_ij))], j over lower scores, with the
    temperatures T_ij = score_i - score_j and T_i = max_j T_ij. As the official code has it, the reward
    is multiplied by the gap of scores; the paper prints its inverse. Tied responses are not ranked
    against each other. The paper's likelihood term is sft=merged.
    """

    difference: ClassVar[bool] = False

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        present_BK = batch.present_BK
        reward_BK, score_BK = self.read(reward_BK, batch)
        lower_BKK = score_BK[:, :, None] > score_BK[:, None, :]
        lower_BKK = lower_BKK & present_BK[:, :, None] & present_BK[:, None, :]
        temperature_BKK = masked(score_BK[:, :, None] - score_BK[:, None, :], lower_BKK)
        own_BK = reward_BK * temperature_BKK.amax(2)
        others_BKK = (reward_BK[:, None, :] * temperature_BKK).masked_fill(~lower_BKK, -torch.inf)
        return (torch.logsumexp(torch.cat([own_BK[:, :, None], others_BKK], 2), 2) - own_BK).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = "(i(score) - j(score))"
        own = f"{preferred} * max_j({gap})"
        others = f"sum_j(({gap} > 0) * exp(j({dispreferred}) * {gap}))"
        return f"sum_k(log(exp({own}) + {others}) - {own})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = rf"e^{{{at(preferred, 'i')} T_i}}"
        others = rf"\sum_{{j: s_j < s_i}} e^{{{at(dispreferred, 'j')} (s_i - s_j)}}"
        return rf"\sum_i -\log \frac{{{own}}}{{{own} + {others}}}, \quad T_i = \max_j (s_i - s_j)"
