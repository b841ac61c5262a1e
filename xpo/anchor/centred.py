"""Rewards that lie around 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register
from xpo.scoring.token_statistics import TokenStatistic


@register("anchor", "centred")
@dataclass(frozen=True)
class Centred:
    """weight (r_w + r_l)^2, the mean over comparisons. Eisenstein et al. 2023, arXiv 2312.09244.

    Comparisons leave the level of rewards open, prompt by prompt; this settles it: a pair's two rewards have
    mean 0. Any reward can be held, a head's scores or an implicit one. Comparisons count as they are given,
    before label noise and weights. Differs from the paper: lists and soft labels are means over their pairs.
    """

    applies: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"comparisons"})
    needs_rivals: ClassVar[bool] = False  # samples of another player
    needs_reference: ClassVar[bool] = False
    reads_reward: ClassVar[bool] = True  # what the objective eats
    reads_tokens: ClassVar[bool] = False  # next-token distributions
    difference: ClassVar[bool] = False  # unchanged when c(x) is added to all rewards of a prompt
    token_statistics: ClassVar[tuple[TokenStatistic, ...]] = ()

    weight: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0 and finite, got {self.weight} (see anchor=none)")

    def __call__(self, batch: Batch, reward_BK: Tensor, token: Mapping[str, Tensor]) -> tuple[Tensor, float]:
        """Numerator of this micro-batch and denominator of the whole step, unweighted."""
        if batch.prefer_BKK is None:
            raise ValueError("anchor=centred needs comparisons, and the rows of this batch carry none")
        reward_BK = masked(reward_BK, batch.present_BK)
        sum_BKK = reward_BK[:, :, None] + reward_BK[:, None, :]
        level_B = (batch.prefer_BKK * sum_BKK.square()).sum((1, 2))
        return (batch.weight_B * level_B).sum(), batch.totals.rows

    def term_text(self) -> tuple[str, str]:
        """A row's term as an expression, and what its sum over the step is divided by."""
        return "sum_ij(prefer * (i(reward) + j(reward))**2)", "rows"

    def term_latex(self) -> str:
        return rf"{self.weight}\, \mathbb{{E}}\left[\left(r(y_w) + r(y_l)\right)^2\right]"
