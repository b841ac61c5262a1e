"""Forward Kullback-Leibler divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register


@register("divergence", "forward_kl")
@dataclass(frozen=True)
class ForwardKL(FDivergence):
    """KL(ref || pi), f(u) = -log u + u - 1. f-DPO, arXiv 2309.16240, table 1.

    The link explodes for u << 1; see ``EXPONENT_LIMIT``.
    """

    supremum: ClassVar[float] = 1.0

    def link(self, log_u: Tensor) -> Tensor:
        return -expm1(-log_u)

    def value(self, log_u: Tensor) -> Tensor:
        return -expm1(-log_u) - log_u * (expm1(-log_u) + 1)

    def generator(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u) - log_u

    def inverse(self, slope: Tensor) -> Tensor:
        return -torch.log1p(-slope)

    def text(self, x: str) -> str:
        return f"1 - exp(-({x}))"

    def value_text(self, x: str) -> str:
        return f"1 - exp(-({x})) * (1 + ({x}))"

    def latex(self, x: str) -> str:
        return rf"1 - e^{{-\left({x}\right)}}"
