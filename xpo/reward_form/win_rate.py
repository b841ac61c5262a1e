"""How often a response wins against the others of its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register
from xpo.reward_model.heads import RewardHead


@register("reward_form", "win_rate")
@dataclass(frozen=True)
class WinRate:
    """The reward of a response is its expected win rate P_i, and labels are Bradley-Terry's of P_i - P_j.

    DNO: Rosset et al. 2024, arXiv 2404.03715, section 3. P_i is the mean of the preference model's P(i beats
    j) over the responses that i was compared with: of drawn rows the others, of a whole population
    the reference. Labels lie between sigmoid(-1 / scale) and sigmoid(1 / scale).
    """

    reads: ClassVar[str] = "wins"  # the feedback that an explicit reward takes its labels from
    has_head: ClassVar[bool] = False  # a head can be trained to give it
    of_pairs: ClassVar[bool] = True  # no score of one response
    averages: ClassVar[bool] = True  # over the responses that one was compared with

    def log_odds(self, batch: Batch) -> Tensor:
        """BKK, the log-odds that i beats j."""
        if batch.win_BKK is None:
            raise ValueError("reward_form=win_rate needs win probabilities, and the rows carry none")
        if batch.prefer_BKK is None:
            raise ValueError("reward_form=win_rate needs comparisons, and the rows carry none")
        mass_BKK = batch.prefer_BKK + batch.prefer_BKK.transpose(1, 2)
        rate_BK = (mass_BKK * batch.win_BKK).sum(2) / mass_BKK.sum(2).clamp(min=1e-30)
        return rate_BK[:, :, None] - rate_BK[:, None, :]

    def head(self, reward: Any, width: int, seed: int, dtype: torch.dtype) -> RewardHead:
        """The head that a trained reward of this form has."""
        raise ValueError("reward_form=win_rate has no head: use reward_form=pointwise or pairwise")

    def text(self) -> str:
        mass = "(prefer + swap(prefer))"
        rate = f"sum_j({mass} * win) / where(sum_j({mass}) > 0, sum_j({mass}), 1)"
        return f"i({rate}) - j({rate})"

    def latex(self) -> str:
        return r"P_i - P_j"
