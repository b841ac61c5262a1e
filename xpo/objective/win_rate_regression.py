"""Log-ratios fitted to win rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given
from xpo.registry import register


@register("objective", "win_rate_regression")
@dataclass(frozen=True)
class WinRateRegression(Declared):
    """SPPO: (log-ratio - (P - 1/2) / beta)^2, a mean over the row. Wu et al. 2024, arXiv 2405.00675.

    P_i is the share of a response's comparisons that it wins: of a hard pair 1 and 0, of drawn lists the
    mean over the others, of a whole population the win rate against the reference. A response counts by
    half the mass of its comparisons. ``itself`` counts a tie with itself as one more comparison, as the
    paper's estimate from K samples does (rows of a whole population hold it already).

    log ref + (P - 1/2) / beta need not sum to 1: on a population with log-ratios d_i the minimiser
    over policies solves 2 (d_i - (P_i - 1/2) / beta) + lambda e^d_i = 0, so it is no closed tilt of ref.
    """

    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    reads_beta: ClassVar[bool] = True
    by_pairs: ClassVar[bool] = False
    implicit_form: ClassVar[str] = "wins"

    itself: bool = False

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        prefer_BKK = given(batch.prefer_BKK, "comparisons", self)
        mass_BKK = prefer_BKK + prefer_BKK.transpose(1, 2)
        compared_BK, others_BK = mass_BKK.sum(2), (mass_BKK > 0).sum(2)
        above_BK = prefer_BKK.sum(2) / compared_BK.clamp(min=1e-30) - 0.5
        if self.itself:
            above_BK = above_BK * others_BK / (others_BK + 1)
        off_BK = (masked(reward_BK, batch.present_BK) - above_BK) / context.beta
        return (compared_BK / 2 * off_BK.square()).sum(1)

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        rate = "sum_j(prefer) / where(compared > 0, compared, 1)"
        if self.itself:
            others = "sum_j(prefer + swap(prefer) > 0)"
            rate = f"({rate} * {others} + 1 / 2) / ({others} + 1)"
        return ("compared", "sum_j(prefer + swap(prefer))"), ("win_rate", rate)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_k(compared / 2 * (({preferred} - (win_rate - 1 / 2)) / beta)**2)"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        rate = (
            r"\frac{K - 1}{K} \left(P_i - \tfrac12\right)" if self.itself else r"\left(P_i - \tfrac12\right)"
        )
        return rf"\tfrac1K \sum_i \frac{{1}}{{\beta^2}} \left({preferred}(y_i) - {rate}\right)^2"
