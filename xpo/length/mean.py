"""Average over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import masked
from xpo.registry import register


@register("length", "mean")
@dataclass(frozen=True)
class Mean:
    """A response's log-ratio is the mean over its tokens. Meng et al. 2024, arXiv 2405.14734, eq. 4.

    Lengths come from the mask, so a token whose log-ratio is 0 counts.
    """

    has_offset: ClassVar[bool] = False
    averages: ClassVar[bool] = True
    several: ClassVar[bool] = False

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return masked(log_ratio_BKT, mask_BKT).sum(-1) / mask_BKT.sum(-1).clamp(min=1)

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return torch.zeros(mask_BKT.shape[:-1], device=mask_BKT.device)

    def text(self, x: str) -> str:
        return f"sum_t({x}) / length"

    def latex(self, x: str) -> str:
        return rf"\frac{{1}}{{|y|}} \sum_t {x}"
