"""The plain policy gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.policy_loss.base import PolicyLoss
from xpo.registry import register


@register("policy_loss", "reinforce")
@dataclass(frozen=True)
class Reinforce(PolicyLoss):
    """-A_t log pi(y_t): the gradient of the expected reward if the policy is still the one that drew y.

    Williams 1992, Machine Learning 8. Several updates from one rollout make it biased: nothing here
    corrects for a policy that has moved.
    """

    reads_ratio: ClassVar[bool] = False

    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        return -advantage_BKT * logp_BKT

    def text(self) -> str:
        return "-advantage * logp"

    def latex(self) -> str:
        return r"-A_t \log\pi_\theta(y_t \mid x, y_{<t})"
