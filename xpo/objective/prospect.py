"""Prospect theory's value of single responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, Step, masked, no_gradient
from xpo.objective.base import ResponseLoss, seen
from xpo.registry import register


@register("objective", "prospect")
@dataclass(frozen=True)
class Prospect(ResponseLoss):
    """KTO: weight (1 - sigmoid(+-(reward - z0))). Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8.

    z0 is the mean reward of mismatched pairs (a prompt with a response of another row), over the whole
    optimizer step and all ranks, clamped at 0 after averaging, without gradient. The paper asks that
    desirable_weight n_desirable / (undesirable_weight n_undesirable) is about 1 to 4/3.
    """

    statistic_rows: ClassVar[str] = "mismatched"

    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    def __post_init__(self) -> None:
        for key in ("desirable_weight", "undesirable_weight"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")

    def observe(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        """[sum, count] of a row's rewards: masses in ``demo_BK`` if given, else 1 each."""
        present_BK = batch.present_BK
        mass_BK = present_BK if batch.demo_BK is None else batch.demo_BK
        mass_BK = masked(mass_BK.to(reward_BK.dtype), present_BK)
        total_B = (mass_BK * masked(no_gradient(reward_BK), present_BK)).sum(1)
        return torch.stack([total_B, mass_BK.sum(1)], 1)

    def z0(self, context: Context) -> Tensor:
        total, count = seen(context.step, self).mean_F()
        return no_gradient(torch.where(count > 0, total / count, total)).clamp(min=0)

    def symbols(self, step: Step, batch: Batch) -> Mapping[str, Tensor]:
        return {"z0": self.z0(Context(step=step))}

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        rows = batch.weight_B.sum()
        return {"kl": (self.z0(context) * rows, rows)}

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return self.desirable_weight * torch.sigmoid(self.z0(context) - reward_BK)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return self.undesirable_weight * torch.sigmoid(reward_BK - self.z0(context))

    def liked_text(self, reward: str) -> str:
        return f"{self.desirable_weight!r} * (1 - sigmoid({reward} - z0))"

    def disliked_text(self, reward: str) -> str:
        return f"{self.undesirable_weight!r} * (1 - sigmoid(z0 - {reward}))"

    def liked_latex(self, reward: str) -> str:
        return rf"{self.desirable_weight} \left(1 - \sigma({reward} - z_0)\right)"

    def disliked_latex(self, reward: str) -> str:
        return rf"{self.undesirable_weight} \left(1 - \sigma(z_0 - {reward})\right)"
