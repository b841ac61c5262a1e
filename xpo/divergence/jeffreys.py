"""Jeffreys divergence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1, log_wright_omega
from xpo.registry import register


@register("divergence", "jeffreys")
@dataclass(frozen=True)
class Jeffreys(FDivergence):
    """KL(pi || ref) + KL(ref || pi), f(u) = (u - 1) log u. f-DPO: arXiv 2309.16240, theorem 1."""

    def link(self, log_u: Tensor) -> Tensor:
        return log_u - expm1(-log_u)

    def value(self, log_u: Tensor) -> Tensor:
        return -log_u * expm1(-log_u)

    def generator(self, log_u: Tensor) -> Tensor:
        return log_u * torch.expm1(log_u)

    def inverse(self, slope: Tensor) -> Tensor:
        return -log_wright_omega(1 - slope)

    def text(self, x: str) -> str:
        return f"({x}) + 1 - exp(-({x}))"

    def value_text(self, x: str) -> str:
        return f"({x}) * (1 - exp(-({x})))"

    def latex(self, x: str) -> str:
        return rf"\left({x}\right) + 1 - e^{{-\left({x}\right)}}"
