"""Chi-squared plus reverse KL."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1, log_wright_omega
from xpo.registry import register


@register("divergence", "chi2_kl")
@dataclass(frozen=True)
class Chi2KL(FDivergence):
    """Half of chi-squared plus the reverse KL, f(u) = (u - 1)^2 / 2 + u log u - u + 1.

    Chi-squared preference optimization, arXiv 2407.13399: link u + log u (here minus its value
    1 at u = 1). Differs from the paper: the reward difference is not clipped to twice a reward bound.
    """

    def link(self, log_u: Tensor) -> Tensor:
        return expm1(log_u) + log_u

    def value(self, log_u: Tensor) -> Tensor:
        return -0.5 * expm1(log_u) * expm1(-log_u) + log_u + expm1(-log_u)

    def generator(self, log_u: Tensor) -> Tensor:
        excess = torch.expm1(log_u)
        return excess.square() / 2 + log_u.exp() * torch.nan_to_num(log_u, neginf=0.0) - excess

    def inverse(self, slope: Tensor) -> Tensor:
        return log_wright_omega(slope + 1)

    def text(self, x: str) -> str:
        return f"exp({x}) - 1 + ({x})"

    def value_text(self, x: str) -> str:
        return f"(exp({x}) - 1) * (1 - exp(-({x}))) / 2 + ({x}) + exp(-({x})) - 1"

    def latex(self, x: str) -> str:
        return rf"e^{{{x}}} - 1 + \left({x}\right)"
