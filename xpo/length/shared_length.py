"""Tokens beyond the length that all responses share count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import masked
from xpo.registry import register


@register("length", "shared_length")
@dataclass(frozen=True)
class SharedLength:
    """LD-DPO: tokens beyond the shortest response of the prompt weigh ``alpha``.

    Liu et al. 2024, arXiv 2409.06411. Policy and reference alike, since the weight acts on the
    log-ratio. alpha = 1 would be ``length=sum``; alpha = 0 compares the shared length only.
    """

    has_offset: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    several: ClassVar[bool] = True

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1:
            raise ValueError(f"alpha must be from 0 to below 1, got {self.alpha} (1 is length=sum)")

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        length_BK = mask_BKT.sum(-1)
        absent_BK = length_BK == 0
        shortest_B11 = length_BK.masked_fill(absent_BK, mask_BKT.shape[-1]).amin(1)[:, None, None]
        weight_BKT = torch.where(mask_BKT.cumsum(-1) <= shortest_B11, 1.0, self.alpha).to(log_ratio_BKT.dtype)
        return (masked(log_ratio_BKT, mask_BKT) * weight_BKT).sum(-1)

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return torch.zeros(mask_BKT.shape[:-1], device=mask_BKT.device)

    def text(self, x: str) -> str:
        return f"sum_t(where(t <= shortest, 1.0, {self.alpha!r}) * ({x}))"

    def latex(self, x: str) -> str:
        return rf"\sum_t {self.alpha}^{{[t > \min_k |y_k|]}} {x}"
