"""A row's good responses against its bad ones, as two groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given
from xpo.objective.words import at
from xpo.registry import register


@register("objective", "group_contrast")
@dataclass(frozen=True)
class GroupContrast(Declared):
    """D2O: -log sigmoid(mean of good rewards - alpha / beta times the mean of bad ones).

    Duan et al. 2024, arXiv 2403.03419, eq. 3. ``alpha`` is to bad responses what ``reward.beta`` is to good
    ones. The mean of a side that a row lacks is 0, the reward of any response under the reference. A row
    counts by the mass of its labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_beta: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False

    alpha: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be above 0 and finite, got {self.alpha}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        liked_BK, disliked_BK = context.roles(masked(reward_BK, batch.present_BK))
        gap_B = _mean(liked_BK, good_BK) - self.alpha / context.beta * _mean(disliked_BK, bad_BK)
        return -(good_BK + bad_BK).sum(1) * logsigmoid(gap_B)

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        return tuple((f"all_{side}", f"sum_k({side})") for side in ("good", "bad"))

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        good, bad = _mean_text(preferred, "good"), _mean_text(dispreferred, "bad")
        return f"-(all_good + all_bad) * log_sigmoid({good} - {self.alpha!r} / beta * {bad})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        good, bad = rf"\overline{{{at(preferred, '+')}}}", rf"\overline{{{at(dispreferred, '-')}}}"
        return rf"-\log\sigma\left({good} - \frac{{{self.alpha}}}{{\beta}} {bad}\right)"


def _mean(reward_BK: Tensor, mass_BK: Tensor) -> Tensor:
    return (mass_BK * reward_BK).sum(1) / mass_BK.sum(1).clamp(min=1e-30)


def _mean_text(reward: str, side: str) -> str:
    return f"sum_k({side} * {reward}) / where(all_{side} > 0, all_{side}, 1)"
