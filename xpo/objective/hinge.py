"""The hinge loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "hinge")
@dataclass(frozen=True)
class Hinge(PairLoss):
    """max(0, delta - gap). Zhao et al. 2023, arXiv 2305.10425, eq. 7; with delta 1 the hinge-norm of
    Liu et al. 2023, arXiv 2309.06657. ``delta`` is in reward units."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.delta < float("inf"):
            raise ValueError(f"delta must be at least 0 and finite, got {self.delta}")

    def curve(self, gap: Tensor) -> Tensor:
        return (self.delta - gap).clamp(min=0)

    def curve_text(self, gap: str) -> str:
        return f"relu({self.delta!r} - {gap})"

    def curve_latex(self, gap: str) -> str:
        return rf"\max\left(0, {self.delta} - {gap}\right)"
