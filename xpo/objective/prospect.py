"""Prospect theory's value of single responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.objective.base import Declared, at, given
from xpo.registry import register


@register("objective", "prospect")
@dataclass(frozen=True)
class Prospect(Declared):
    """KTO: weight (1 - sigmoid(+-(reward - z0))). Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8.

    z0 is the mean reward of mismatched pairs (a prompt with a response of another row), over the whole
    optimizer step and all ranks, clamped at 0 after averaging, without gradient. The paper asks that
    desirable_weight n_desirable / (undesirable_weight n_undesirable) is about 1 to 4/3.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    statistic_rows: ClassVar[str] = "mismatched"
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    def __post_init__(self) -> None:
        for key in ("desirable_weight", "undesirable_weight"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")

    def observe(self, reward_BK: Tensor, batch: Batch) -> Tensor:
        """[sum, count] of rewards of mismatched rows: masses in ``demo_BK`` if given, else 1 each."""
        present_BK = batch.present_BK
        mass_BK = present_BK if batch.demo_BK is None else batch.demo_BK
        mass_BK = batch.weight_B[:, None] * masked(mass_BK.to(reward_BK.dtype), present_BK)
        total = (mass_BK * masked(no_gradient(reward_BK), present_BK)).sum()
        return torch.stack([total, mass_BK.sum()])

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        total, count = given(context.statistics, "mismatched rows (Batch.probes)", self)
        z0 = no_gradient(torch.where(count > 0, total / count, total)).clamp(min=0)
        desirable_BK, undesirable_BK = context.roles(masked(reward_BK, batch.present_BK))
        good_BK = given(batch.good_BK, "labels", self) * self.desirable_weight
        bad_BK = given(batch.bad_BK, "labels", self) * self.undesirable_weight
        gain_BK = good_BK * torch.sigmoid(z0 - desirable_BK)
        return (gain_BK + bad_BK * torch.sigmoid(undesirable_BK - z0)).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        good = f"{self.desirable_weight!r} * good * (1 - sigmoid({preferred} - z0))"
        bad = f"{self.undesirable_weight!r} * bad * (1 - sigmoid(z0 - {dispreferred}))"
        return f"sum_k({good} + {bad})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        good = rf"{self.desirable_weight} \left(1 - \sigma({at(preferred, '+')} - z_0)\right)"
        bad = rf"{self.undesirable_weight} \left(1 - \sigma(z_0 - {at(dispreferred, '-')})\right)"
        cases = rf"{good} & y_+ \text{{ desirable}} \\ {bad} & y_- \text{{ undesirable}}"
        return rf"\begin{{cases}} {cases} \end{{cases}}"
