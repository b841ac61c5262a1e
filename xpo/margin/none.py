"""No margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin
from xpo.registry import register


@register("margin", "none")
@dataclass(frozen=True)
class NoMargin(Margin):
    """The gap as it is."""

    applies: ClassVar[bool] = False

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> float:
        return 0.0

    def formula(self, beta: float) -> str:
        return ""

    def latex(self, beta: float) -> str:
        return ""
