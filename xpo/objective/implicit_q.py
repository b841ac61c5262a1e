"""Values of tokens from scores of whole responses, and imitation by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.objective.base import Declared, given
from xpo.registry import register


@register("objective", "implicit_q")
@dataclass(frozen=True)
class ImplicitQ(Declared):
    """ILQL: L_Q + L_V + cql_weight L_CQL + awac_weight L_AWAC. Snell et al. 2022, arXiv 2206.11871, sec. 4.

    A response's score is the reward of its last token, all others have 0. With Q_i, V of the critic at a
    token and its state, Q_slow the smaller of the slow Q:
    L_Q = sum_i (Q_i - sg[reward + gamma V(next state)])^2, V after the last token 0;
    L_V = |expectile - 1[u < 0]| u^2 with u = sg[Q_slow] - V; L_CQL = -sum_i log softmax Q_i;
    L_AWAC = -sg[e^(advantage_scale u)] log pi (0: plain imitation). Each is a sum over tokens, of responses
    by ``Batch.share_BK``. Weights and defaults are trlx's.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})
    reads_reward: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    explicit_reward: ClassVar[bool] = True
    fixed_beta: ClassVar[float | None] = 1.0
    credits_tokens: ClassVar[bool] = True
    per_token: ClassVar[bool] = True
    imitates: ClassVar[bool] = True
    counts_scores: ClassVar[bool] = True
    critic: ClassVar[frozenset[str]] = frozenset(
        {"value_BKT", "q1_BKT", "q2_BKT", "q1_logp_BKT", "q2_logp_BKT", "slow_q_BKT"}
    )
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    expectile: float = 0.7
    gamma: float = 0.99
    cql_weight: float = 0.1
    awac_weight: float = 1.0
    advantage_scale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.expectile < 1:
            raise ValueError(f"expectile must be above 0 and below 1, got {self.expectile}")
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma must be above 0 and at most 1, got {self.gamma}")
        for key in ("cql_weight", "awac_weight", "advantage_scale"):
            if not 0 <= self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be at least 0 and finite, got {self.__dict__[key]}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        parts = self.parts(batch, context)
        loss_BKT = parts["q"] + parts["v"] + self.cql_weight * parts["cql"] + self.awac_weight * parts["awac"]
        loss_BK = masked(loss_BKT, batch.mask_BKT).sum(-1)
        return (batch.share_BK.to(loss_BK.dtype) * loss_BK).sum(1)

    def parts(self, batch: Batch, context: Context) -> dict[str, Tensor]:
        """The four losses of every token, BKT; padding holds anything finite."""
        said = {name: masked(context.value[name], batch.mask_BKT) for name in self.critic}
        logp_BKT = masked(given(context.logp_BKT, "log-probabilities", self), batch.mask_BKT)
        target_BKT = no_gradient(self.target(batch, said["value_BKT"]))
        above_BKT = no_gradient(said["slow_q_BKT"]) - said["value_BKT"]
        side_BKT = (self.expectile - (above_BKT < 0).to(above_BKT.dtype)).abs()
        weight_BKT = no_gradient(torch.exp(self.advantage_scale * above_BKT))
        return {
            "q": (said["q1_BKT"] - target_BKT).square() + (said["q2_BKT"] - target_BKT).square(),
            "v": side_BKT * above_BKT.square(),
            "cql": -said["q1_logp_BKT"] - said["q2_logp_BKT"],
            "awac": -weight_BKT * logp_BKT,
        }

    def target(self, batch: Batch, value_BKT: Tensor) -> Tensor:
        """reward + gamma V(next state), BKT."""
        mask_BKT = batch.mask_BKT
        next_BKT = pad(mask_BKT[..., 1:], (0, 1))
        score_BK = masked(given(batch.score_BK, "scores", self), batch.present_BK).to(value_BKT.dtype)
        reward_BKT = masked(score_BK[..., None].expand(mask_BKT.shape), mask_BKT & ~next_BKT)
        return reward_BKT + self.gamma * masked(pad(value_BKT[..., 1:], (0, 1)), next_BKT)

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        share_BKT = (batch.weight_B[:, None] * batch.share_BK)[..., None] * batch.mask_BKT
        parts = self.parts(batch, context)
        return {
            f"{name}_loss": ((share_BKT * no_gradient(p)).sum(), share_BKT.sum()) for name, p in parts.items()
        }

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        return (("target", f"last_t(score) + {self.gamma!r} * next_t(value)"),)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        q = "(q1 - target)**2 + (q2 - target)**2"
        side = f"where(value > slow_q, 1 - {self.expectile!r}, {self.expectile!r})"
        cql = f"{self.cql_weight!r} * (q1_logp + q2_logp)"
        awac = f"{self.awac_weight!r} * exp({self.advantage_scale!r} * (slow_q - value)) * logp"
        return f"sum_k(share * sum_t({q} + {side} * (slow_q - value)**2 - {cql} - {awac}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        q = rf"\sum_i \left(Q_i - \mathrm{{sg}}[r_t + {self.gamma} V_{{t+1}}]\right)^2"
        v = rf"\left|{self.expectile} - 1[u_t < 0]\right| u_t^2"
        cql = rf"{self.cql_weight} \sum_i \log\mathrm{{softmax}}\, Q_i"
        awac = rf"{self.awac_weight}\, e^{{{self.advantage_scale} \mathrm{{sg}}[u_t]}} \log\pi_\theta"
        return rf"\sum_t {q} + {v} - {cql} - {awac}, \quad u_t = \mathrm{{sg}}[\min \bar Q] - V_t"
