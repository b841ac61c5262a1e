"""Reverse Kullback-Leibler divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register


@register("divergence", "reverse_kl")
@dataclass(frozen=True)
class ReverseKL(FDivergence):
    """KL(pi || ref), f(u) = u log u - u + 1: DPO's divergence.

    Rafailov et al. 2023, arXiv 2305.18290, eq. 3. ``value`` is the non-negative "k3" estimator.
    """

    linear: ClassVar[bool] = True

    def link(self, log_u: Tensor) -> Tensor:
        return log_u

    def value(self, log_u: Tensor) -> Tensor:
        return log_u + expm1(-log_u)

    def generator(self, log_u: Tensor) -> Tensor:
        return log_u.exp() * torch.nan_to_num(log_u, neginf=0.0) - torch.expm1(log_u)

    def inverse(self, slope: Tensor) -> Tensor:
        return slope

    def text(self, x: str) -> str:
        return x

    def value_text(self, x: str) -> str:
        return f"exp(-({x})) - 1 + ({x})"

    def latex(self, x: str) -> str:
        return x
