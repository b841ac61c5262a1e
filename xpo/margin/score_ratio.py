"""The gap must be as large as the log-ratio of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin, in_range, of_pairs, scores
from xpo.registry import register


@register("margin", "score_ratio")
@dataclass(frozen=True)
class ScoreRatio(Margin):
    """alpha log(s_i / s_j): ODPO's offset for scores that are shares. Amini et al. 2024, arXiv 2402.10571.

    ``alpha`` in reward units. Raises ``ValueError`` for scores of 0 and below: they have no ratio.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})
    positive_scores: ClassVar[bool] = True

    alpha: float = 1.0

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha)

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        score_BK = scores(batch, self, absent=1.0)
        if not bool((score_BK > 0).all()):
            raise ValueError(f"margin=score_ratio needs positive scores, got {float(score_BK.min()):g}")
        logs_BK = score_BK.log()
        return of_pairs(self.alpha * (logs_BK[:, :, None] - logs_BK[:, None, :]), batch)

    def formula(self, beta: float) -> str:
        return f" - {self.alpha!r} * log(i(score) / j(score))"

    def latex(self, beta: float) -> str:
        return rf" - {self.alpha} \log\frac{{s_w}}{{s_l}}"
