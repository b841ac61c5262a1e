"""Half a chi-squared plus gamma times the reverse KL."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1, log_wright_omega
from xpo.registry import register


@register("divergence", "gamma_chi")
@dataclass(frozen=True)
class GammaChi(FDivergence):
    """f(u) = (u - 1)^2 / 2 + gamma (u log u - u + 1), gamma > 0. Huang et al. 2024, arXiv 2407.13399.

    The paper's general mix; gamma = 1 is ``chi2_kl``, and a large gamma is DPO at beta * gamma.
    Differs from the paper: the reward difference is not clipped to twice a reward bound.
    """

    gamma: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.gamma < math.inf:
            raise ValueError(f"gamma must be above 0 (at 0 pi* may be 0 somewhere), got {self.gamma}")

    def link(self, log_u: Tensor) -> Tensor:
        return expm1(log_u) + self.gamma * log_u

    def value(self, log_u: Tensor) -> Tensor:
        return -0.5 * expm1(log_u) * expm1(-log_u) + self.gamma * (log_u + expm1(-log_u))

    def generator(self, log_u: Tensor) -> Tensor:
        excess = torch.expm1(log_u)
        return excess.square() / 2 + self.gamma * (log_u.exp() * torch.nan_to_num(log_u, neginf=0.0) - excess)

    def inverse(self, slope: Tensor) -> Tensor:
        log_gamma = math.log(self.gamma)
        return log_gamma + log_wright_omega((slope + 1) / self.gamma - log_gamma)

    def text(self, x: str) -> str:
        return f"exp({x}) - 1 + {self.gamma!r} * ({x})"

    def value_text(self, x: str) -> str:
        kl = f"({x}) + exp(-({x})) - 1"
        return f"(exp({x}) - 1) * (1 - exp(-({x}))) / 2 + {self.gamma!r} * ({kl})"

    def latex(self, x: str) -> str:
        return rf"e^{{{x}}} - 1 + {self.gamma:g} \left({x}\right)"
