"""Rows with a low loss are trusted more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Step, masked, no_gradient
from xpo.objective.base import seen
from xpo.registry import register
from xpo.weighting.base import Weighting


@register("weighting", "log_mean_exp")
@dataclass(frozen=True)
class LogMeanExp(Weighting):
    """-t log mean_i exp(-loss_i / t) over the step, as in Dr. DPO. Wu et al. 2024, arXiv 2407.07880.

    A soft minimum: ``temperature`` t to infinity is the mean, t to 0 the lowest loss. The mean is over the
    weighted rows of the whole step and all ranks; the published code takes that of each micro-batch.
    """

    by_row: ClassVar[bool] = True
    statistic_rows: ClassVar[str] = "step"

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")

    def observe(self, reward_BK: Tensor, loss_B: Tensor, batch: Batch, beta: float) -> Tensor:
        """The loss of each row."""
        return no_gradient(loss_B)[:, None]

    def _whole(self, step: Step) -> Tensor:
        """The objective of the step."""
        share_N = step.weight_N / step.weight_N.sum()
        counted_N = step.values_NF[:, 0].masked_fill(share_N == 0, torch.inf)
        least = counted_N.min()
        # relative to the least loss and through expm1, so that neither a small nor a large t loses digits
        beyond_N = torch.expm1((least - counted_N) / self.temperature)
        return least - self.temperature * torch.log1p((share_N * beyond_N).sum())

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        """Every row has the step's value, and the gradient that the row adds to it."""
        whole = self._whole(seen(step, self)).to(loss_B.dtype)
        fixed_B = no_gradient(loss_B)
        weight_B = masked((whole - fixed_B) / self.temperature, batch.weight_B > 0).exp()
        return whole + weight_B * (loss_B - fixed_B)

    def mean_text(self, mean: str, total: str) -> str:
        t = repr(self.temperature)
        return f"-{t} * log({mean.replace('row_loss', f'exp(-row_loss / {t})')})"

    def latex(self, mean: str) -> str:
        inner = mean.removeprefix(r"\mathbb{E}\left[").removesuffix(r"\right]")
        t = self.temperature
        return rf"-{t} \log \mathbb{{E}}\left[\exp\left(-\frac{{1}}{{{t}}}\left({inner}\right)\right)\right]"
