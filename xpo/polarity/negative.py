"""Negative feedback only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.registry import register


@register("polarity", "negative")
@dataclass(frozen=True)
class Negative:
    """Only dis-preferred responses drive the objective: the preferred one counts as reward 0.

    0 is the reward of any response under the reference itself, so each comparison says "worse than
    the reference". The survey's RM4 = -, as in NPO: Zhang et al. 2024, arXiv 2404.05868, eq. 3, which
    is 2 / beta times the logistic objective with this polarity.
    """

    negative_only: ClassVar[bool] = True

    def roles(self, reward_BK: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(reward_BK), reward_BK

    def advantage(self, advantage_BKT: Tensor) -> Tensor:
        """Only samples that did worse than expected drive a policy gradient. arXiv 2506.01347."""
        return advantage_BKT.clamp(max=0)

    def formula(self, reward: str) -> tuple[str, str]:
        return "0", reward
