"""The hinge loss summed over the pairs of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective.base import given
from xpo.objective.hinge import Hinge
from xpo.objective.lists import COMPARED, compared
from xpo.registry import register


@register("objective", "pair_hinge")
@dataclass(frozen=True)
class PairHinge(Hinge):
    """The sum of max(0, delta - gap) over all pairs that do not tie; ``hinge`` is its mean over the pairs.

    Liu et al. 2024, arXiv 2402.01878; with delta 0 the ranking loss of Yuan et al. 2023,
    arXiv 2304.05302. ``delta`` is in reward units.
    """

    by_pairs: ClassVar[bool] = False
    listwise: ClassVar[bool] = True

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        pairs_B = compared(given(batch.prefer_BKK, "comparisons", self))
        return pairs_B * super().__call__(reward_BK, batch, context)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"{COMPARED} * {super().text(preferred, dispreferred, margin)}"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\sum_{{(w, l)}} {super().latex(preferred, dispreferred, margin)}"
