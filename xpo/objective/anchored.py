"""Probabilities of single responses against the reference, good ones up and bad ones down."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Context
from xpo.objective.base import ResponseLoss
from xpo.registry import register


@register("objective", "anchored")
@dataclass(frozen=True)
class Anchored(ResponseLoss):
    """APO-zero: weight (1 - sigmoid(+-reward)). D'Oosterlinck et al. 2024, arXiv 2408.06266.

    For a model that is worse than the good responses. The paper's loss of a pair is the sum of both sides:
    weights of 2 here. A response whose |reward| is large has next to no gradient.
    """

    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    def __post_init__(self) -> None:
        for key in ("desirable_weight", "undesirable_weight"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return self.desirable_weight * torch.sigmoid(-reward_BK)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return self.undesirable_weight * torch.sigmoid(reward_BK)

    def liked_text(self, reward: str) -> str:
        return f"{self.desirable_weight!r} * (1 - sigmoid({reward}))"

    def disliked_text(self, reward: str) -> str:
        return f"{self.undesirable_weight!r} * sigmoid({reward})"

    def liked_latex(self, reward: str) -> str:
        return rf"{self.desirable_weight} \left(1 - \sigma({reward})\right)"

    def disliked_latex(self, reward: str) -> str:
        return rf"{self.undesirable_weight}\, \sigma({reward})"
