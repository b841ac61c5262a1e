"""A classifier of good and bad responses by their rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Context, Step, masked, no_gradient
from xpo.objective.base import ResponseLoss, given, seen
from xpo.registry import register


@register("objective", "binary_logistic")
@dataclass(frozen=True)
class BinaryLogistic(ResponseLoss):
    """BCO: -log sigmoid(+-(reward - delta)). Jung et al. 2024, arXiv 2404.04656.

    delta = (E_good[r] + E_bad[r]) / 2, without gradient, of exponentially forgotten steps, this one included:
    both expectations are quotients of sums over steps whose weight falls by ``momentum`` a step (0: this
    step's alone). A label never seen counts as reward 0. Other code keeps one mean over all rewards ever
    seen, which leans to the more frequent label. An evaluation takes delta as training left it.
    """

    statistic_rows: ClassVar[str] = "step"
    memory: ClassVar[int] = 4
    unbiased_in_labels: ClassVar[bool] = False

    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {self.momentum}")

    def observe(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        """[good reward, good mass, bad reward, bad mass] of a row, rewards times masses."""
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        liked_BK, disliked_BK = context.roles(masked(no_gradient(reward_BK), batch.present_BK))
        columns = (good_BK * liked_BK, good_BK, bad_BK * disliked_BK, bad_BK)
        return torch.stack([column.sum(1).to(reward_BK.dtype) for column in columns], 1)

    def remember(self, step: Step) -> Tensor:
        assert step.memory is not None
        return self.momentum * step.memory + step.mean_F()

    def delta(self, context: Context) -> Tensor:
        memory = seen(context.step, self).memory
        assert memory is not None
        total_2, mass_2 = memory.view(2, 2).unbind(1)
        return torch.where(mass_2 > 0, total_2 / mass_2, 0.0).mean()

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return softplus(self.delta(context).to(reward_BK.dtype) - reward_BK)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return softplus(reward_BK - self.delta(context).to(reward_BK.dtype))

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        rows = batch.weight_B.sum()
        return {"delta": (self.delta(context) * rows, rows)}

    def symbols(self, step: Step, batch: Batch) -> Mapping[str, Tensor]:
        assert step.memory is not None
        now_4 = step.mean_F()
        past_4 = (step.memory - now_4) / self.momentum if self.momentum else torch.zeros_like(now_4)
        names = ("good", "good_mass", "bad", "bad_mass")
        found = {f"step_{name}": value for name, value in zip(names, now_4, strict=True)}
        return found | {f"past_{name}": value for name, value in zip(names, past_4, strict=True)}

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        def mean(label: str) -> str:
            total, mass = (f"({self.momentum!r} * past_{x} + step_{x})" for x in (label, f"{label}_mass"))
            return f"{total} / {mass}"

        return (("delta", f"({mean('good')} + {mean('bad')}) / 2"),)

    def liked_text(self, reward: str) -> str:
        return f"-log_sigmoid({reward} - delta)"

    def disliked_text(self, reward: str) -> str:
        return f"-log_sigmoid(delta - {reward})"

    def liked_latex(self, reward: str) -> str:
        return rf"-\log\sigma({reward} - \delta)"

    def disliked_latex(self, reward: str) -> str:
        return rf"-\log\sigma(\delta - {reward})"
