"""Total variation distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1, supported_reward
from xpo.registry import register


@register("divergence", "total_variation")
@dataclass(frozen=True)
class TotalVariation(FDivergence):
    """Half of the absolute difference in mass, f(u) = |u - 1| / 2. The link takes its middle, 0, at u = 1."""

    invertible: ClassVar[bool] = False
    why_not_off_policy: ClassVar[str] = (
        "f' takes only the values -1/2 and 1/2, so beta f'(pi/ref) cannot represent a reward (and its "
        "gradient is 0 everywhere)"
    )

    def link(self, log_u: Tensor) -> Tensor:
        return log_u.sign() / 2

    def value(self, log_u: Tensor) -> Tensor:
        return expm1(-log_u).abs() / 2

    def generator(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u).abs() / 2

    def inverse(self, slope: Tensor) -> Tensor:
        raise ValueError("total variation has no inverse link: f' is constant on either side of u = 1")

    def optimum(self, ref_logp: Tensor, reward: Tensor, beta: float) -> Tensor:
        """Closed form: responses more than beta below the best give all their mass to the best ones."""
        ref, reward = ref_logp.double().exp(), supported_reward(ref_logp.double(), reward.double())
        top = reward.amax(-1, keepdim=True)
        kept = ref * (reward >= top - beta)
        best = ref * (reward == top)
        moved = 1 - kept.sum(-1, keepdim=True)
        return (kept + moved * best / best.sum(-1, keepdim=True)).log()

    def text(self, x: str) -> str:
        return f"sign({x}) / 2"

    def value_text(self, x: str) -> str:
        return f"abs(exp(-({x})) - 1) / 2"

    def latex(self, x: str) -> str:
        return rf"\tfrac12 \operatorname{{sign}}\left({x}\right)"
