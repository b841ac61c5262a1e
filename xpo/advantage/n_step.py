"""Advantages from n-step returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.advantage.base import (
    WHITENED,
    Estimate,
    Estimator,
    check_discount,
    one_later,
    reward_to_go,
    to_go_text,
    whitened,
)
from xpo.registry import register


@register("advantage", "n_step")
@dataclass(frozen=True)
class NStep(Estimator):
    """A_t = R_t - V_t with R_t = r_t + ... + gamma^(n-1) r_(t+n-1) + gamma^n V_(t+n): advantage actor-critic.

    Mnih et al. 2016, arXiv 1602.01783, section 4; with ``steps=null`` R_t goes to the response's end, as in
    GopherCite and Sparrow (arXiv 2203.11147, 2209.14375). The critic learns R_t. Differs from the paper:
    every token looks ``steps`` ahead, where the paper cuts a rollout into segments of that length and
    all states of one look to its end.
    """

    reads_value: ClassVar[bool] = True
    to_go: ClassVar[bool] = True

    gamma: float = 1.0
    steps: int | None = None
    whiten: bool = False

    def __post_init__(self) -> None:
        check_discount(gamma=self.gamma)
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be null (to the end) or at least 1, got {self.steps}")

    @property
    def undiscounted(self) -> bool:
        return self.gamma == 1

    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        assert value_BKT is not None
        return_BKT = self._returns(reward_BKT, value_BKT)
        return Estimate(return_BKT - value_BKT, return_BKT)

    def _returns(self, reward_BKT: Tensor, value_BKT: Tensor) -> Tensor:
        if self.steps is None or self.steps >= reward_BKT.shape[-1]:
            return reward_to_go(reward_BKT, self.gamma)
        return_BKT = value_BKT
        for _ in range(self.steps):
            return_BKT = reward_BKT + self.gamma * one_later(return_BKT)
        return return_BKT

    def text(self, reward: str, value: str) -> str:
        if self.steps is None:
            return f"{to_go_text(reward, self.gamma)} - {value}"
        discount = "" if self.gamma == 1 else f", {self.gamma!r}"
        return f"ahead({reward}, {value}, {self.steps}{discount}) - {value}"

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return whitened(advantage_BKT, mask_BKT) if self.whiten else advantage_BKT

    def scaled_text(self, x: str, reward: str) -> str:
        return f"whiten({x})" if self.whiten else x

    @property
    def notes(self) -> tuple[str, ...]:
        return (WHITENED,) if self.whiten else ()
