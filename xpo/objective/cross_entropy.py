"""Each response, or beginning of one, is right or wrong: a logistic classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Context
from xpo.objective.base import ResponseLoss, given
from xpo.registry import register


@register("objective", "cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(ResponseLoss):
    """-log sigmoid(reward) of what is good, -log sigmoid(-reward) of what is bad, in nats.

    Cobbe et al. 2021, arXiv 2110.14168, section 4 (outcomes); Lightman et al. 2023, arXiv 2305.20050, section
    2.6 (steps). The reward is the log-odds of being right. Differs from the latter paper, which predicts one
    of three label tokens: there are two labels, and what is neutral is one of them, or half of each.
    """

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return softplus(-reward_BK)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return softplus(reward_BK)

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The share of labels on the right side of 1/2, and of those that say good (what a constant gets)."""
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        weight_B1 = batch.weight_B[:, None]
        above_BK = (reward_BK > 0).to(good_BK.dtype)
        right_BK = good_BK * above_BK + bad_BK * (1 - above_BK)
        total = (weight_B1 * (good_BK + bad_BK)).sum()
        return {
            "accuracy": ((weight_B1 * right_BK).sum(), total),
            "share_good": ((weight_B1 * good_BK).sum(), total),
        }

    def liked_text(self, reward: str) -> str:
        return f"-log_sigmoid({reward})"

    def disliked_text(self, reward: str) -> str:
        return f"-log_sigmoid(-({reward}))"

    def liked_latex(self, reward: str) -> str:
        return rf"-\log\sigma({reward})"

    def disliked_latex(self, reward: str) -> str:
        return rf"-\log\sigma(-{reward})"
