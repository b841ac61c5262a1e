"""No divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.registry import register


@register("divergence", "none")
@dataclass(frozen=True)
class NoDivergence:
    """The log-ratio (or, without a reference, the log-likelihood) is the reward as it stands.

    Nothing is regularised, so the value is 0 and there is no optimum to state.
    """

    regularises: ClassVar[bool] = False
    linear: ClassVar[bool] = True
    regularises: ClassVar[bool] = False  # there is no divergence at all
    invertible: ClassVar[bool] = True
    why_not_off_policy: ClassVar[str] = ""

    def link(self, log_u: Tensor) -> Tensor:
        return log_u

    def value(self, log_u: Tensor) -> Tensor:
        return torch.zeros_like(log_u)

    def generator(self, log_u: Tensor) -> Tensor:
        return torch.zeros_like(log_u)

    def exact(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.zeros_like((logp - ref_logp)[..., 0], dtype=torch.float64)

    def optimum(self, ref_logp: Tensor, reward: Tensor, beta: float) -> Tensor:
        raise ValueError("divergence=none regularises nothing, so there is no optimum to state")

    def text(self, x: str) -> str:
        return x

    def value_text(self, x: str) -> str:
        return "0"

    def latex(self, x: str) -> str:
        return x
