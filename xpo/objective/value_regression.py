"""Scores explained by the policy's reward and a value of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.objective.base import Declared, given
from xpo.registry import register


@register("objective", "value_regression")
@dataclass(frozen=True)
class ValueRegression(Declared):
    """DRO: (score - V - reward)^2 / 2, for policy and V. Richemond et al. 2024, arXiv 2405.19107, eq. 7.

    reward is tau log(pi / ref), tau is ``reward.beta``. The policy minimises
    (sg[score - V] - reward)^2 / (2 tau), the paper's rescaling of its step by 1 / tau; V minimises
    (V - sg[score - reward])^2 / 2. The two are one number up to 1 / tau, so V's enters with its gradient
    and the value 0: the loss that is seen is the policy's. Each response counts by ``Batch.share_BK``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})
    difference: ClassVar[bool] = False
    absorbs_constant: ClassVar[bool] = True
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    reads_beta: ClassVar[bool] = True
    critic: ClassVar[frozenset[str]] = frozenset({"prompt_value_B"})
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    @property
    def fits(self) -> str:
        return "scores"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        present_BK = batch.present_BK
        reward_BK = masked(reward_BK, present_BK)
        share_BK = batch.share_BK.to(reward_BK.dtype)
        score_BK = masked(given(batch.score_BK, "scores", self), present_BK)
        value_B1 = context.value["prompt_value_B"][:, None]
        policy_BK = (no_gradient(score_BK - value_B1) - reward_BK).square() / (2 * context.beta)
        critic_BK = (value_B1 - no_gradient(score_BK - reward_BK)).square() / 2
        return (share_BK * (policy_BK + critic_BK - no_gradient(critic_BK))).sum(1)

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        value_B = no_gradient(context.value["prompt_value_B"])
        return {"value": ((batch.weight_B * value_B).sum(), batch.weight_B.sum())}

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_k(share * (score - prompt_value - {preferred})**2 / (2 * beta))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        policy = rf"\tfrac{{1}}{{2\tau}} \left(\mathrm{{sg}}[s - V(x)] - {preferred}(y)\right)^2"
        return rf"{policy} + \tfrac{{1}}{{2}} \left(V(x) - \mathrm{{sg}}[s - {preferred}(y)]\right)^2"
