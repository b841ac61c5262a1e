"""The logistic loss of reward differences that are clipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context
from xpo.objective.base import PairLoss, gaps, given
from xpo.registry import register


@register("objective", "clipped_logistic")
@dataclass(frozen=True)
class ClippedLogistic(PairLoss):
    """-log sigmoid(clip(gap, -bound, bound)). Huang et al. 2024, arXiv 2407.13399, algorithm 1.

    ``bound`` is the paper's 2 R, for rewards known to lie within R of 0, in reward units. The difference
    is clipped, not each side. A clipped pair has no gradient; the share of them is logged as
    ``gap/clipped``. Gaps of true log-odds that reach the bound are fitted no further.
    """

    bound: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.bound < float("inf"):
            raise ValueError(
                f"bound must be above 0 and finite, got {self.bound} (objective=logistic clips nothing)"
            )

    @property
    def fits(self) -> str:
        return "log_odds"

    @property
    def fit_limit(self) -> float:
        return self.bound

    def curve(self, gap: Tensor) -> Tensor:
        return -logsigmoid(gap.clamp(-self.bound, self.bound))

    def curve_text(self, gap: str) -> str:
        return f"-log_sigmoid(maximum(-{self.bound!r}, minimum({self.bound!r}, {gap})))"

    def curve_latex(self, gap: str) -> str:
        return rf"-\log\sigma\left(\mathrm{{clip}}_{{\pm {self.bound}}}{gap}\right)"

    @torch.no_grad()
    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The share of the comparisons' mass that is clipped."""
        mass_BKK = batch.weight_B[:, None, None] * given(batch.prefer_BKK, "comparisons", self).abs()
        clipped_BKK = gaps(*context.roles(reward_BK), batch, context).abs() > self.bound
        return {"gap/clipped": ((mass_BKK * clipped_BKK).sum(), mass_BKK.sum())}
