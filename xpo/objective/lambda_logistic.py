"""The logistic loss of pairs, weighted by what their exchange would do to a ranking metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.objective.base import gaps, given, over_pairs
from xpo.objective.logistic import Logistic
from xpo.objective.words import gap_text
from xpo.registry import register


@register("objective", "lambda_logistic")
@dataclass(frozen=True)
class LambdaLogistic(Logistic):
    """LiPO-lambda: the sum of Delta_ij -log sigmoid(gap_ij) over psi_i > psi_j. Liu et al. 2024,
    arXiv 2402.01878.

    Delta_ij = |2^psi_i - 2^psi_j| |1 / log(1 + tau_i) - 1 / log(1 + tau_j)| without gradient. tau_i is the
    place of i by the current rewards, the highest is 1; of equal rewards (all of them, where the policy is
    the reference) the preferred response stands first. psi_i in [0, 1] is the share of its comparisons that
    i wins: of the others that rank below it, or their mean win rate where comparisons are probabilities, as
    with reward=explicit, and as the paper's ranking model has it.
    """

    by_pairs: ClassVar[bool] = False
    listwise: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False

    @property
    def fits(self) -> str:
        return ""

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        prefer_BKK = given(batch.prefer_BKK, "comparisons", self)
        weight_BKK = no_gradient(_delta(reward_BK, batch, prefer_BKK))
        return over_pairs(weight_BKK, self.curve(gaps(*context.roles(reward_BK), batch, context)))

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        won = "(sum_j(prefer) / sum_j(prefer + swap(prefer)))"
        equal = f"(i({dispreferred}) <= j({dispreferred})) * (swap(prefer) > prefer)"
        ahead = f"maximum(j({dispreferred}) > i({dispreferred}), {equal})"
        discount = f"(1 / log(2 + sum_j({ahead})))"
        gain = f"relu(2**i({won}) - 2**j({won}))"
        curve = self.curve_text(gap_text(preferred, dispreferred, margin))
        return f"sum_ij((prefer + swap(prefer) > 0) * {gain} * abs(i({discount}) - j({discount})) * {curve})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        discounts = r"\left|\tfrac{1}{\log(1 + \tau_w)} - \tfrac{1}{\log(1 + \tau_l)}\right|"
        gains = r"\left(2^{\psi_w} - 2^{\psi_l}\right)"
        curve = super().latex(preferred, dispreferred, margin)
        return rf"\sum_{{\psi_w > \psi_l}} {gains} {discounts} \cdot {curve}"


def _delta(reward_BK: Tensor, batch: Batch, prefer_BKK: Tensor) -> Tensor:
    """Delta_ij of compared responses with psi_i > psi_j, else 0."""
    reward_BK = masked(reward_BK, batch.present_BK)
    lost_BKK = prefer_BKK.transpose(1, 2)
    compared_BK = (prefer_BKK + lost_BKK).sum(2)
    gain_BK = 2 ** (prefer_BKK.sum(2) / torch.where(compared_BK > 0, compared_BK, 1))
    higher_BKK = reward_BK[:, None, :] > reward_BK[:, :, None]  # j than i
    equal_BKK = reward_BK[:, None, :] == reward_BK[:, :, None]
    ahead_BKK = (higher_BKK | equal_BKK & (lost_BKK > prefer_BKK)) & batch.present_BK[:, None, :]
    discount_BK = 1 / torch.log(2 + ahead_BKK.sum(2).to(gain_BK.dtype))
    gain_BKK = (gain_BK[:, :, None] - gain_BK[:, None, :]).clamp(min=0)
    delta_BKK = gain_BKK * (discount_BK[:, :, None] - discount_BK[:, None, :]).abs()
    return masked(delta_BKK, prefer_BKK + lost_BKK > 0)
