"""No reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.registry import register


@register("reward", "none")
@dataclass(frozen=True)
class NoReward:
    """For objectives that are likelihoods: nothing is rewarded, every reward is 0."""

    relabels: ClassVar[bool] = False
    reads_reward: ClassVar[bool] = False
    trains_head: ClassVar[bool] = False  # rewards are a head's, no log-ratios
    gives_scores: ClassVar[bool] = False  # objectives of scores find them in the rows

    beta: ClassVar[float] = 1.0  # for margins that are ratios of beta

    def __call__(self, link_BK: Tensor) -> Tensor:
        return torch.zeros_like(link_BK)

    def text(self, x: str) -> str:
        return f"0 * ({x})"

    def latex(self, x: str) -> str:
        return "0"
