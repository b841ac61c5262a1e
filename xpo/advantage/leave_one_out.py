"""Leave-one-out advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.advantage.base import Estimate, Estimator
from xpo.advantage.samples import others_mean_BK, with_others
from xpo.registry import register


@register("advantage", "leave_one_out")
@dataclass(frozen=True)
class LeaveOneOut(Estimator):
    """A response's total reward minus the mean of its prompt's other responses, the same at every token.

    RLOO, Ahmadian et al. 2024, arXiv 2402.14740. It is K / (K - 1) times the reward minus the mean of all
    K. A response without others has advantage 0, as in TRL (verl takes its reward as it stands).
    """

    several: ClassVar[bool] = True

    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        total_BK = reward_BKT.sum(-1)
        compared_BK = total_BK - others_mean_BK(total_BK, mask_BKT)
        return Estimate(with_others(compared_BK[..., None].expand_as(reward_BKT), mask_BKT))

    def text(self, reward: str, value: str) -> str:
        return f"every_t(sum_t({reward}) - others_k(sum_t({reward})))"

    def own(self, own_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return with_others(own_BKT, mask_BKT)
