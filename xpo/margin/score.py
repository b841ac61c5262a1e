"""The gap must be as large as that of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin, in_range, of_pairs, scores
from xpo.registry import register


@register("margin", "score")
@dataclass(frozen=True)
class Score(Margin):
    """alpha (s_i - s_j): ODPO's offset with the identity. Amini et al. 2024, arXiv 2402.10571.

    Scores of the rows as they are, ``alpha`` in reward units per score.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    alpha: float = 1.0

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha)

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        score_BK = scores(batch, self)
        return of_pairs(self.alpha * (score_BK[:, :, None] - score_BK[:, None, :]), batch)

    def formula(self, beta: float) -> str:
        return f" - {self.alpha!r} * (i(score) - j(score))"

    def latex(self, beta: float) -> str:
        return rf" - {self.alpha} \left(s_w - s_l\right)"
