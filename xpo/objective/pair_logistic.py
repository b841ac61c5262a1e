"""The logistic loss summed over the pairs of a list."""

from __future__ import annotations

from dataclasses import dataclass

from xpo.objective.lists import SumOverPairs
from xpo.objective.logistic import Logistic
from xpo.registry import register


@register("objective", "pair_logistic")
@dataclass(frozen=True)
class PairLogistic(SumOverPairs, Logistic):
    """Pair-logistic: the sum of -log sigmoid(gap) over all pairs that do not tie. Liu et al. 2024,
    arXiv 2402.01878. ``logistic`` is its mean over the pairs."""
