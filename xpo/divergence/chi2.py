"""Pearson's chi-squared divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register


@register("divergence", "chi2")
@dataclass(frozen=True)
class Chi2(FDivergence):
    """Variance of u under the reference, f(u) = (u - 1)^2. Its optimum is sparse."""

    invertible: ClassVar[bool] = False
    why_not_off_policy: ClassVar[str] = (
        "f'(0) = -2 is finite, so the optimum gives probability 0 to responses of low reward, and there "
        "beta f'(pi*/ref) is no longer the reward plus a constant of the prompt"
    )

    def link(self, log_u: Tensor) -> Tensor:
        return 2 * expm1(log_u)

    def value(self, log_u: Tensor) -> Tensor:
        return -expm1(log_u) * expm1(-log_u)  # (u - 1)(1 - 1/u) = 4 sinh^2(log_u / 2)

    def generator(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u).square()

    def inverse(self, slope: Tensor) -> Tensor:
        return torch.log1p((slope / 2).clamp(min=-1))

    def text(self, x: str) -> str:
        return f"2 * (exp({x}) - 1)"

    def value_text(self, x: str) -> str:
        return f"(exp({x}) - 1) * (1 - exp(-({x})))"

    def latex(self, x: str) -> str:
        return rf"2 \left(e^{{{x}}} - 1\right)"
