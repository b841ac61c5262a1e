"""Advantages relative to a prompt's group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xpo.advantage.base import Estimate, Estimator
from xpo.advantage.samples import count_B1, group_mean_B1, outside_mean, outside_mean_text, present_BK
from xpo.contracts import masked
from xpo.registry import register

EPS = 1e-4

DIVIDED = (
    "Dividing by the group's standard deviation makes prompts count more whose samples are worth nearly the "
    "same, very easy and very hard ones: this is not the gradient of E[r] (that of advantage.scale=none is)."
)


@register("advantage", "group")
@dataclass(frozen=True)
class Group(Estimator):
    """(total - mean) / (std + eps) over a prompt's responses, the same at every token: GRPO.

    Shao et al. 2024, arXiv 2402.03300, section 4.1.2. ``scale``: ``sample`` divides squares by n - 1
    (torch's std, so TRL and verl: a group of two has +-0.71), ``population`` by n (+-1), ``none`` takes the
    difference alone (Dr. GRPO, Liu et al. 2025, arXiv 2503.20783); GRPO's paper does not say which of the
    first two. ``eps``: null is 1e-4 (TRL; verl has 1e-6); without a scale nothing reads it. A group all
    alike, or of one, is exactly 0.
    """

    several: ClassVar[bool] = True

    scale: Literal["sample", "population", "none"] = "sample"
    eps: float | None = None

    def __post_init__(self) -> None:
        if self.eps is not None and self.scale == "none":
            raise ValueError(
                f"eps is added to a standard deviation, and scale=none has none: null, got {self.eps}"
            )
        if self.eps is not None and not 0 <= self.eps < float("inf"):
            raise ValueError(f"eps must be null or at least 0 and finite, got {self.eps}")

    @property
    def divides(self) -> bool:
        return self.scale != "none"

    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        return Estimate(_centred_BK(reward_BKT, mask_BKT)[..., None].expand_as(reward_BKT))

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        if self.scale == "none":
            return advantage_BKT
        divisor_B1 = (count_B1(mask_BKT) - (1 if self.scale == "sample" else 0)).clamp(min=1)
        square_B1 = _centred_BK(reward_BKT, mask_BKT).square().sum(-1, keepdim=True)
        std_B1 = (square_B1 / divisor_B1).sqrt()
        # where all are alike there is nothing to divide by, nor to learn
        factor_B1 = torch.where(std_B1 > 0, 1 / (std_B1 + (EPS if self.eps is None else self.eps)), 0.0)
        return advantage_BKT * factor_B1[..., None]

    def text(self, reward: str, value: str) -> str:
        return f"every_t(sum_t({reward}) - mean_k(sum_t({reward})))"

    def scaled_text(self, x: str, reward: str) -> str:
        if self.scale == "none":
            return x
        deviation = "std_k" if self.scale == "sample" else "population_std_k"
        eps = EPS if self.eps is None else self.eps
        return f"({x}) / every_t({deviation}(sum_t({reward})) + {eps!r})"

    def own_text(self, own: str) -> str:
        return outside_mean_text(own)

    @property
    def notes(self) -> tuple[str, ...]:
        return () if self.scale == "none" else (DIVIDED,)

    def own(self, own_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return outside_mean(own_BKT, mask_BKT)


def _centred_BK(reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
    """Totals minus their group's mean; exact zeros where all are alike, whatever the mean rounds to."""
    here_BK, total_BK = present_BK(mask_BKT), reward_BKT.sum(-1)
    low_B1 = total_BK.masked_fill(~here_BK, torch.inf).amin(-1, keepdim=True)
    high_B1 = total_BK.masked_fill(~here_BK, -torch.inf).amax(-1, keepdim=True)
    return masked(total_BK - group_mean_B1(total_BK, mask_BKT), here_BK & (low_B1 < high_B1))
