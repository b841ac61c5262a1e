"""Advantages from returns, without a critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from xpo.advantage.base import (
    WHITENED,
    Estimate,
    Estimator,
    check_discount,
    reward_to_go,
    to_go_text,
    whitened,
)
from xpo.advantage.samples import (
    group_mean_B1,
    others_mean_BK,
    outside_mean,
    outside_mean_text,
    with_others,
)
from xpo.registry import register


@register("advantage", "returns")
@dataclass(frozen=True)
class Returns(Estimator):
    """A_t = sum_(s >= t) gamma^(s-t) r_s - b: REINFORCE (Williams 1992), REINFORCE++ with ``whiten``.

    Hu et al. 2025, arXiv 2501.03262. ``baseline`` b is taken off every token of a response: ``group`` is the
    mean over the prompt's samples of their total (undiscounted) reward, ``leave_one_out`` that of the
    other samples. With group and whiten this is REINFORCE++-baseline; differs from its paper where
    a penalty is part of the reward: there the baseline is of the scores alone. A response without others
    has advantage 0 where there is a baseline.
    """

    to_go: ClassVar[bool] = True

    gamma: float = 1.0
    whiten: bool = False
    baseline: Literal["none", "group", "leave_one_out"] = "none"

    def __post_init__(self) -> None:
        check_discount(gamma=self.gamma)

    @property
    def several(self) -> bool:
        return self.baseline != "none"

    @property
    def undiscounted(self) -> bool:
        return self.gamma == 1

    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        return_BKT = reward_to_go(reward_BKT, self.gamma)
        if not self.several:
            return Estimate(return_BKT)
        mean = group_mean_B1 if self.baseline == "group" else others_mean_BK
        compared_BKT = return_BKT - mean(reward_BKT.sum(-1), mask_BKT)[..., None]
        return Estimate(with_others(compared_BKT, mask_BKT))

    def text(self, reward: str, value: str) -> str:
        going = to_go_text(reward, self.gamma)
        if not self.several:
            return going
        mean = "mean_k" if self.baseline == "group" else "others_k"
        return f"{going} - every_t({mean}(sum_t({reward})))"

    def own_text(self, own: str) -> str:
        return outside_mean_text(own) if self.baseline == "group" else own

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return whitened(advantage_BKT, mask_BKT) if self.whiten else advantage_BKT

    def scaled_text(self, x: str, reward: str) -> str:
        return f"whiten({x})" if self.whiten else x

    @property
    def notes(self) -> tuple[str, ...]:
        return (WHITENED,) if self.whiten else ()

    def own(self, own_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        if not self.several:
            return own_BKT
        kept = outside_mean if self.baseline == "group" else with_others
        return kept(own_BKT, mask_BKT)
