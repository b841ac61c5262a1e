"""Squared Hellinger distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register


@register("divergence", "hellinger")
@dataclass(frozen=True)
class Hellinger(FDivergence):
    """Sum of (sqrt pi - sqrt ref)^2, f(u) = (sqrt u - 1)^2: half of the alpha divergence at 1/2.

    f' is invertible and 0 outside its domain, as f-DPO asks: arXiv 2309.16240, theorem 1.
    """

    supremum: ClassVar[float] = 1.0

    def link(self, log_u: Tensor) -> Tensor:
        return -expm1(-log_u / 2)

    def value(self, log_u: Tensor) -> Tensor:
        return expm1(-log_u / 2).square()

    def generator(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u / 2).square()

    def inverse(self, slope: Tensor) -> Tensor:
        return -2 * torch.log1p(-slope)

    def text(self, x: str) -> str:
        return f"1 - exp(-({x}) / 2)"

    def value_text(self, x: str) -> str:
        return f"(1 - exp(-({x}) / 2))**2"

    def latex(self, x: str) -> str:
        return rf"1 - e^{{-\left({x}\right) / 2}}"
