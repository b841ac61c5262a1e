"""Generalised advantage estimation."""

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
    times_text,
    to_go_text,
    whitened,
)
from xpo.registry import register


@register("advantage", "gae")
@dataclass(frozen=True)
class GAE(Estimator):
    """A_t = sum_l (gamma lam)^l d_(t+l) with d_t = r_t + gamma V_(t+1) - V_t, and V = 0 after the last token.

    Schulman et al. 2016, arXiv 1506.02438, equation 16. The critic learns A_t + V_t, before whitening.
    A response that was cut counts as ended: nothing is expected after it.
    """

    reads_value: ClassVar[bool] = True
    to_go: ClassVar[bool] = True

    gamma: float = 1.0
    lam: float = 0.95
    whiten: bool = True

    def __post_init__(self) -> None:
        check_discount(gamma=self.gamma, lam=self.lam)

    @property
    def undiscounted(self) -> bool:
        return self.gamma == 1

    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        assert value_BKT is not None
        surprise_BKT = reward_BKT + self.gamma * one_later(value_BKT) - value_BKT
        advantage_BKT = reward_to_go(surprise_BKT, self.gamma * self.lam)
        return Estimate(advantage_BKT, advantage_BKT + value_BKT)

    def text(self, reward: str, value: str) -> str:
        surprise = f"{reward} + {times_text(self.gamma, f'next_t({value})')} - {value}"
        return to_go_text(surprise, self.gamma * self.lam)

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return whitened(advantage_BKT, mask_BKT) if self.whiten else advantage_BKT

    def scaled_text(self, x: str, reward: str) -> str:
        return f"whiten({x})" if self.whiten else x

    @property
    def notes(self) -> tuple[str, ...]:
        return (WHITENED,) if self.whiten else ()
