"""Margins of the policy, matched by rank with margins of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Context, Step, masked, no_gradient
from xpo.objective.base import Declared, gap_latex, gap_text, gaps, given, seen, widened
from xpo.objective.matching import Samples, matched_cost, tables
from xpo.registry import register


@register("objective", "matched_margins")
@dataclass(frozen=True)
class MatchedMargins(Declared):
    """AOT, paired: -log sigmoid(policy's margin - reference's margin). Melnyk et al. 2024, arXiv 2406.05882.

    A margin is beta (log p_w - log p_l); the policy's of the whole step and all ranks are sorted against the
    reference's. A list is all its ordered pairs with their masses, an assumed label noise pairs of either
    order, so that in a step of unlike masses a margin may meet several others.
    """

    statistic_rows: ClassVar[str] = "step"
    coupled: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False
    reads_reference: ClassVar[bool] = True

    def _margins(self, reward_BK: Tensor, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        """The policy's and the reference's margins of ordered pairs, in an order that no padding changes."""
        reference_BK = masked(given(context.reference_BK, "a reference", self), batch.present_BK)
        reference_BK = widened(reference_BK)
        reference_BKK = reference_BK[:, :, None] - reference_BK[:, None, :]
        policy_BKK = gaps(*context.roles(widened(reward_BK)), batch, context) + reference_BKK
        return in_shells(policy_BKK), in_shells(reference_BKK)

    def observe(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        """[policy's margin, reference's margin, mass] of each ordered pair."""
        policy_BE, reference_BE = self._margins(no_gradient(reward_BK), batch, context)
        mass_BE = in_shells(given(batch.prefer_BKK, "comparisons", self)).to(policy_BE)
        return torch.stack([policy_BE, reference_BE, mass_BE], 2).flatten(1)

    def _sides(self, step: Step) -> tuple[Samples, Samples]:
        policy_NE, reference_NE, mass_NE = step.values_NF.view(len(step.values_NF), -1, 3).unbind(2)
        mass_NE = step.weight_N[:, None] * mass_NE
        return Samples(policy_NE, mass_NE), Samples(reference_NE, mass_NE)

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        step, mass_BKK = seen(context.step, self), given(batch.prefer_BKK, "comparisons", self)
        policy_BE, _ = self._margins(reward_BK, batch, context)
        cost_BE = matched_cost(policy_BE, batch, step, self._sides(step), lambda gap: softplus(-gap))
        return (in_shells(mass_BKK) * cost_BE).sum(1)

    def symbols(self, step: Step, batch: Batch) -> Mapping[str, Tensor | tuple[Tensor, ...]]:
        own, other = self._sides(step)
        shares, others = tables(step, batch, own, other)
        place_B = step.place_B(batch.index_B)
        size_B = batch.present_BK.sum(1).tolist()
        order = [shells(k, others.device).argsort().view(k, k) for k in size_B]
        return {
            "meets": tuple(share[o] for share, o in zip(shares, order, strict=True)),
            "ref_margin": tuple(other.value_NE[n][o] for n, o in zip(place_B, order, strict=True)),
            "ref_margins": (others,) * len(size_B),
        }

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = f"{gap_text(preferred, dispreferred, margin)} + ref_margin"
        return f"sum_ij(prefer * sum_q(meets * -log_sigmoid(q({own}) - ref_margins)))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = rf"{gap_latex(preferred, dispreferred, margin)} + \Delta_\mathrm{{ref}}"
        gap = rf"Q_q\left[{own}\right] - Q_q\left[\Delta_\mathrm{{ref}}\right]"
        return rf"\int_0^1 -\log\sigma\left({gap}\right) \mathrm{{d}}q"


def shells(responses: int, device: torch.device) -> Tensor:
    """The flat indices of a K x K table, such that those of the first K - 1 responses come first."""
    i_K1 = torch.arange(responses, device=device)[:, None]
    j_1K = i_K1.T
    last_KK = torch.maximum(i_K1, j_1K)
    return (last_KK.square() + last_KK + j_1K - i_K1).flatten().argsort()


def in_shells(values_BKK: Tensor) -> Tensor:
    """A K x K table as a line that begins with the table of fewer responses."""
    return values_BKK.flatten(1)[:, shells(values_BKK.shape[1], values_BKK.device)]
