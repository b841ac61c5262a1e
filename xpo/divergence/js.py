"""Jensen-Shannon divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register

LOG_2 = math.log(2.0)


@register("divergence", "js")
@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """KL(pi || m) + KL(ref || m) with m = (pi + ref) / 2, f(u) = u log u - (1 + u) log((1 + u) / 2).

    f-DPO, arXiv 2309.16240, table 1. This is twice the Jensen-Shannon divergence of the text books.
    """

    supremum: ClassVar[float] = LOG_2

    def link(self, log_u: Tensor) -> Tensor:
        return LOG_2 + logsigmoid(log_u)

    def value(self, log_u: Tensor) -> Tensor:
        return log_u - (2 + expm1(-log_u)) * (softplus(log_u) - LOG_2)

    def generator(self, log_u: Tensor) -> Tensor:
        u = log_u.exp()
        return u * torch.nan_to_num(log_u, neginf=0.0) - (1 + u) * (softplus(log_u) - LOG_2)

    def inverse(self, slope: Tensor) -> Tensor:
        # u = e^s / (2 - e^s) = e^-x / (1 - e^-x) with x = log 2 - s, which no x overflows
        return slope - LOG_2 - torch.log(-torch.expm1(slope - LOG_2))

    def text(self, x: str) -> str:
        return f"log(2) + log_sigmoid({x})"

    def value_text(self, x: str) -> str:
        return f"({x}) + (1 + exp(-({x}))) * (log_sigmoid(-({x})) + log(2))"

    def latex(self, x: str) -> str:
        return rf"\log 2 + \log\sigma\left({x}\right)"
