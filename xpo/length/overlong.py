"""A price on responses that come near the longest that there may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import masked
from xpo.registry import register


@register("length", "overlong")
@dataclass(frozen=True)
class Overlong:
    """Soft overlong punishment: alpha clamp((|y| - (most - buffer)) / buffer, 0, 1) is taken off the reward.

    Yu et al. 2025 (DAPO), arXiv 2503.14476, equation 13, for |y| up to ``most`` tokens, which is what may be
    sampled; longer ones cost alpha. Off-policy the implicit reward is then beta link + that price, as
    with length=penalty. ``alpha`` is in reward units.
    """

    has_offset: ClassVar[bool] = True
    averages: ClassVar[bool] = False
    several: ClassVar[bool] = False

    most: int = 64
    buffer: int = 16
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.buffer <= self.most:
            raise ValueError(f"buffer must be 1 to most={self.most}, got {self.buffer}")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be above 0 and finite, got {self.alpha} (length=sum has no price)")

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return masked(log_ratio_BKT, mask_BKT).sum(-1)

    def offset(self, mask_BKT: Tensor) -> Tensor:
        over_BK = (mask_BKT.sum(-1) - (self.most - self.buffer)) / self.buffer
        return self.alpha * over_BK.clamp(0, 1)

    def text(self, x: str) -> str:
        return f"sum_t({x})"

    def latex(self, x: str) -> str:
        return rf"\sum_t {x}"

    def offset_text(self) -> str:
        over = f"(length - {self.most - self.buffer}) / {self.buffer}"
        return f"{self.alpha!r} * minimum(relu({over}), 1)"

    def offset_latex(self) -> str:
        over = rf"\tfrac{{|y| - {self.most - self.buffer}}}{{{self.buffer}}}"
        return rf"{self.alpha} \min\left(1, \left[{over}\right]_+\right)"
