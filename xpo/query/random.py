"""As many as the budget allows, drawn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.query.base import Budgeted
from xpo.registry import register


@register("query", "random")
@dataclass(frozen=True)
class Random(Budgeted):
    """A uniform draw without replacement: what any other choice must beat."""

    def worth(self, log_odds_MKK: Tensor) -> float:
        return 0.0
