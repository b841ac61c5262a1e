"""Imitation of demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given
from xpo.registry import register


@register("objective", "likelihood")
@dataclass(frozen=True)
class Likelihood(Declared):
    """Negative log-likelihood of the demonstrations' response tokens. Ouyang et al. 2022, arXiv 2203.02155.

    A sum over tokens: reduce=tokens averages it over tokens, reduce=rows over responses.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    reads_reward: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    imitates: ClassVar[bool] = True
    per_token: ClassVar[bool] = True
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        logp_BKT = given(context.logp_BKT, "log-probabilities", self)
        demo_BK = given(batch.demo_BK, "demonstrations", self)
        return -(demo_BK * masked(logp_BKT, batch.mask_BKT).sum(-1)).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return "sum_k(demo * -sum_t(logp))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return r"-\sum_t \log\pi_\theta(y_t \mid x, y_{<t})"
