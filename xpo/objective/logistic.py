"""The logistic loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context
from xpo.objective.base import Declared, gap_latex, gap_text, gaps, given, over_pairs
from xpo.registry import register


@register("objective", "logistic")
@dataclass(frozen=True)
class Logistic(Declared):
    """-log sigmoid(gap): maximum likelihood of Bradley-Terry. Rafailov et al. 2023, arXiv 2305.18290, eq. 7.

    ``smoothing`` is the assumed rate of flipped labels (conservative DPO, Mitchell 2023): the loss is
    (1 - smoothing) (-log sigmoid(gap)) + smoothing (-log sigmoid(-gap)).
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 0.5:
            raise ValueError(f"smoothing must be from 0 to below 0.5, got {self.smoothing}")

    @property
    def fits(self) -> str:
        return "" if self.smoothing else "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        gap_BKK = gaps(*context.roles(reward_BK), batch, context)
        # -log sigmoid(-gap) = gap - log sigmoid(gap), so that a population's K x K table is passed over once
        loss_BKK = self.smoothing * gap_BKK - logsigmoid(gap_BKK)
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_text(preferred, dispreferred, margin)
        if not self.smoothing:
            return f"sum_ij(prefer * -log_sigmoid{gap})"
        e = self.smoothing
        return f"sum_ij(prefer * -((1 - {e!r}) * log_sigmoid{gap} + {e!r} * log_sigmoid(-{gap})))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_latex(preferred, dispreferred, margin)
        if not self.smoothing:
            return rf"-\log\sigma{gap}"
        e = self.smoothing
        return rf"-(1 - {e}) \log\sigma{gap} - {e} \log\sigma\left(-{gap}\right)"
