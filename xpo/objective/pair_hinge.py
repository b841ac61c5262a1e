"""The hinge loss summed over the pairs of a list."""

from __future__ import annotations

from dataclasses import dataclass

from xpo.objective.hinge import Hinge
from xpo.objective.lists import SumOverPairs
from xpo.registry import register


@register("objective", "pair_hinge")
@dataclass(frozen=True)
class PairHinge(SumOverPairs, Hinge):
    """The sum of max(0, delta - gap) over all pairs that do not tie; ``hinge`` is its mean over the pairs.

    Liu et al. 2024, arXiv 2402.01878; with delta 0 the ranking loss of Yuan et al. 2023,
    arXiv 2304.05302. ``delta`` is in reward units.
    """
