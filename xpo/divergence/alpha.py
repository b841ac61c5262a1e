"""Alpha divergence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.divergence.base import FDivergence, expm1
from xpo.registry import register


@register("divergence", "alpha")
@dataclass(frozen=True)
class Alpha(FDivergence):
    """f(u) = [u^(1 - alpha) - (1 - alpha) u - alpha] / (alpha (alpha - 1)), 0 < alpha < 1.

    f-DPO's convention, arXiv 2309.16240, table 1: alpha -> 0 is the reverse KL, alpha -> 1 the forward
    KL, 1/2 twice the squared Hellinger distance. TRL >= 1.0 calls 1 - alpha what is alpha here.
    Without a reference and with length=mean the link is AlphaPO's reward, arXiv 2501.03884.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(
                f"alpha must be above 0 and below 1, got {self.alpha} "
                "(use divergence=reverse_kl for 0 and divergence=forward_kl for 1)"
            )

    def link(self, log_u: Tensor) -> Tensor:
        return -expm1(-self.alpha * log_u) / self.alpha

    def value(self, log_u: Tensor) -> Tensor:
        a = self.alpha
        return (a * expm1(-log_u) - expm1(-a * log_u)) / (a * (1 - a))

    def generator(self, log_u: Tensor) -> Tensor:
        a = self.alpha
        return ((1 - a) * torch.expm1(log_u) - torch.expm1((1 - a) * log_u)) / (a * (1 - a))

    def inverse(self, slope: Tensor) -> Tensor:
        return -torch.log1p(-self.alpha * slope) / self.alpha

    def link_bound(self) -> float:
        return 1 / self.alpha

    def text(self, x: str) -> str:
        return f"(1 - exp(-{self.alpha!r} * ({x}))) / {self.alpha!r}"

    def value_text(self, x: str) -> str:
        a = repr(self.alpha)
        return f"({a} * exp(-({x})) + 1 - {a} - exp(-{a} * ({x}))) / ({a} * (1 - {a}))"

    def latex(self, x: str) -> str:
        return rf"\frac{{1 - e^{{-{self.alpha} \left({x}\right)}}}}{{{self.alpha}}}"
