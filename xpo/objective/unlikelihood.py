"""Imitation of good responses, and the opposite of it for bad ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given, widened
from xpo.objective.odds_ratio import CERTAIN, log1mexp
from xpo.registry import register


@register("objective", "unlikelihood")
@dataclass(frozen=True)
class Unlikelihood(Declared):
    """-log p of each token of good responses, -weight log(1 - p) of bad ones'. Welleck et al. 2019,
    arXiv 1908.04319.

    The labels say which tokens are unlikely: all of a bad response. Past p = 1 - 1e-6 the loss goes on as a
    straight line in log p, so that a certain token has a finite loss and gradient. A sum over tokens.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    reads_reward: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    per_token: ClassVar[bool] = True
    imitates: ClassVar[bool] = True
    counts_scores: ClassVar[bool] = True
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0 and finite, got {self.weight}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        logp_BKT = widened(given(context.logp_BKT, "log-probabilities", self))
        logp_BKT = masked(logp_BKT, batch.mask_BKT)
        unlikely_BKT = masked(_log_unlikely(logp_BKT), batch.mask_BKT)
        return -(good_BK * logp_BKT.sum(-1) + self.weight * bad_BK * unlikely_BKT.sum(-1)).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"-sum_k(good * sum_t(logp) + {self.weight!r} * bad * sum_t(log(1 - exp(logp))))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        p = r"\pi_\theta(y_t \mid x, y_{<t})"
        good, bad = (
            rf"-\sum_t \log {p} & y \text{{ good}}",
            rf"-{self.weight} \sum_t \log(1 - {p}) & y \text{{ bad}}",
        )
        return rf"\begin{{cases}} {good} \\ {bad} \end{{cases}}"


def _log_unlikely(logp: Tensor) -> Tensor:
    """log(1 - p), straight beyond ``CERTAIN``."""
    slope = math.exp(CERTAIN) / math.expm1(CERTAIN)  # of log(1 - e^x) at CERTAIN
    return log1mexp(logp.clamp(max=CERTAIN)) + slope * (logp - CERTAIN).clamp(min=0)
