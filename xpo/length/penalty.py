"""A price on every token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import masked
from xpo.registry import register


@register("length", "penalty")
@dataclass(frozen=True)
class Penalty:
    """R-DPO: the objective max E[r - alpha |y|] - beta D. Park et al. 2024, arXiv 2403.19159.

    The implicit reward is then beta link + alpha |y|, with a plus: a pair whose preferred response is
    the longer one is explained in part by its length and weighs less. Tables that print a minus there
    amplify the length bias. ``alpha`` is in reward units per token.
    """

    has_offset: ClassVar[bool] = True
    averages: ClassVar[bool] = False
    several: ClassVar[bool] = False

    alpha: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ValueError(
                f"alpha must be above 0 and finite, got {self.alpha} (length=sum has no penalty)"
            )

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return masked(log_ratio_BKT, mask_BKT).sum(-1)

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return self.alpha * mask_BKT.sum(-1)

    def text(self, x: str) -> str:
        return f"sum_t({x})"

    def latex(self, x: str) -> str:
        return rf"\sum_t {x}"

    def offset_text(self) -> str:
        return f"{self.alpha!r} * length"

    def offset_latex(self) -> str:
        return f"{self.alpha} |y|"
