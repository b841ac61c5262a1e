"""A price on preferred responses that fall below the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.margin.base import Margin, in_range, of_pairs
from xpo.registry import register


@register("margin", "drop")
@dataclass(frozen=True)
class Drop(Margin):
    """DPOP: lam max(0, -r_i) of the preferred i. Pal et al. 2024, arXiv 2402.13228.

    The penalty is inside the sigmoid and, being made of rewards, inside beta: it is lam beta times the
    nats by which the preferred response is less likely than under the reference. It has a gradient, but
    none at the reference itself, where nothing has fallen yet. A length offset counts as reward.
    """

    difference: ClassVar[bool] = False

    lam: float = 50.0

    def __post_init__(self) -> None:
        in_range("lam", self.lam)

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        fallen_BK = torch.relu(-masked(reward_BK, batch.present_BK))
        return of_pairs(self.lam * fallen_BK[:, :, None].expand(-1, -1, reward_BK.shape[1]), batch)

    def formula(self, beta: float) -> str:
        return f" - {self.lam!r} * relu(-i(reward))"

    def latex(self, beta: float) -> str:
        return rf" - {self.lam} \max\left(0, -r(y_w)\right)"
