"""The logistic loss of reward differences."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.objective.base import PairLoss
from xpo.registry import register


@register("objective", "logistic")
@dataclass(frozen=True)
class Logistic(PairLoss):
    """-log sigmoid(gap): likelihood of Bradley-Terry. Rafailov et al. 2023, arXiv 2305.18290, eq. 7."""

    @property
    def fits(self) -> str:
        return "log_odds"

    def curve(self, gap: Tensor) -> Tensor:
        return -logsigmoid(gap)

    def curve_text(self, gap: str) -> str:
        return f"-log_sigmoid{gap}"

    def curve_latex(self, gap: str) -> str:
        return rf"-\log\sigma{gap}"
