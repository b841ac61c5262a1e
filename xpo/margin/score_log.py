"""The gap must be as large as the logarithm of that of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin, in_range, of_pairs, scores
from xpo.registry import register


@register("margin", "score_log")
@dataclass(frozen=True)
class ScoreLog(Margin):
    """alpha log(s_i - s_j): ODPO's offset. Amini et al. 2024, arXiv 2402.10571.

    Differences below ``floor`` (ties, and orders that contradict the scores, which have no logarithm)
    count as ``floor``: their margin is alpha log(floor), so negative that the pair hardly weighs. A
    difference below 1 relaxes the gap. ``alpha`` in reward units, ``floor`` in units of the scores.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    alpha: float = 1.0
    floor: float = 1e-6

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha)
        in_range("floor", self.floor)

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        score_BK = scores(batch, self)
        more_BKK = (score_BK[:, :, None] - score_BK[:, None, :]).clamp(min=self.floor)
        return of_pairs(self.alpha * more_BKK.log(), batch)

    def formula(self, beta: float) -> str:
        return f" - {self.alpha!r} * log(maximum({self.floor!r}, i(score) - j(score)))"

    def latex(self, beta: float) -> str:
        return rf" - {self.alpha} \log\max\left({self.floor}, s_w - s_l\right)"
