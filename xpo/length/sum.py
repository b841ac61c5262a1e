"""No length control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import masked
from xpo.registry import register


@register("length", "sum")
@dataclass(frozen=True)
class Sum:
    """A response's log-ratio is the sum over its tokens. Rafailov et al. 2023, arXiv 2305.18290."""

    has_offset: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    several: ClassVar[bool] = False

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return masked(log_ratio_BKT, mask_BKT).sum(-1)

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return torch.zeros(mask_BKT.shape[:-1], device=mask_BKT.device)

    def text(self, x: str) -> str:
        return f"sum_t({x})"

    def latex(self, x: str) -> str:
        return rf"\sum_t {x}"
