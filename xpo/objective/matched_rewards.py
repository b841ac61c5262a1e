"""Good and bad rewards, matched by rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Context, Step, masked, no_gradient
from xpo.objective.base import Declared, given, seen, widened
from xpo.objective.matching import Samples, matched_cost, tables
from xpo.objective.words import at
from xpo.registry import register


@register("objective", "matched_rewards")
@dataclass(frozen=True)
class MatchedRewards(Declared):
    """AOT, unpaired: -log sigmoid(r_good - r_bad) of equal quantiles. Melnyk et al. 2024, arXiv 2406.05882.

    Good responses of the whole step and all ranks are sorted against bad ones, of whatever number and mass
    (the paper needs equally many). Half of a match's value stands in either row, its gradient in both. In
    a step of one label alone the other side is a response of reward 0, as any has under the reference.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    statistic_rows: ClassVar[str] = "step"
    coupled: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    def observe(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        """[reward if good, reward if bad, good mass, bad mass] of each response."""
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        liked_BK, disliked_BK = context.roles(masked(no_gradient(reward_BK), batch.present_BK))
        return torch.stack([liked_BK, disliked_BK, good_BK.to(liked_BK), bad_BK.to(liked_BK)], 2).flatten(1)

    def _sides(self, step: Step) -> tuple[Samples, Samples]:
        liked_NK, disliked_NK, good_NK, bad_NK = step.values_NF.view(len(step.values_NF), -1, 4).unbind(2)
        weight_N1 = step.weight_N[:, None]
        return Samples(liked_NK, weight_N1 * good_NK), Samples(disliked_NK, weight_N1 * bad_NK)

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        step = seen(context.step, self)
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        liked_BK, disliked_BK = context.roles(widened(masked(reward_BK, batch.present_BK)))
        good, bad = self._sides(step)
        nobody = Samples(step.weight_N.new_zeros(1, 1), step.weight_N.new_ones(1, 1))
        counted, loss_B = 1.0 if good.empty or bad.empty else 0.5, reward_BK.new_zeros(len(reward_BK))
        if not good.empty:
            sides = (good, nobody if bad.empty else bad)
            cost_BK = matched_cost(liked_BK, batch, step, sides, lambda gap: softplus(-gap), counted)
            loss_B = loss_B + (good_BK * cost_BK).sum(1) * step.weight_N.sum() / good.mass_NE.sum()
        if not bad.empty:
            sides = (bad, nobody if good.empty else good)
            cost_BK = matched_cost(disliked_BK, batch, step, sides, softplus, counted)
            loss_B = loss_B + (bad_BK * cost_BK).sum(1) * step.weight_N.sum() / bad.mass_NE.sum()
        return loss_B

    def symbols(self, step: Step, batch: Batch) -> Mapping[str, Tensor | tuple[Tensor, ...]]:
        good, bad = self._sides(step)
        with_bad, others = tables(step, batch, good, bad)
        with_good, ones = tables(step, batch, bad, good)
        total, count = step.weight_N.sum(), len(batch.index_B)
        return {
            "with_bad": tuple(t[: int(k)] for t, k in zip(with_bad, batch.present_BK.sum(1), strict=True)),
            "with_good": tuple(t[: int(k)] for t, k in zip(with_good, batch.present_BK.sum(1), strict=True)),
            "bad_rewards": (others,) * count,
            "good_rewards": (ones,) * count,
            "good_share": good.mass_NE.sum() / total,
            "bad_share": bad.mass_NE.sum() / total,
        }

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        good = f"sum_q(with_bad * -log_sigmoid(q({preferred}) - bad_rewards))"
        bad = f"sum_q(with_good * -log_sigmoid(good_rewards - q({dispreferred})))"
        return f"sum_k(good / good_share * {good} + bad / bad_share * {bad}) / 2"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = rf"Q_q[{at(preferred, '+')}] - Q_q[{at(dispreferred, '-')}]"
        return rf"\int_0^1 -\log\sigma\left({gap}\right) \mathrm{{d}}q"
