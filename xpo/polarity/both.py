"""Positive and negative feedback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.registry import register


@register("polarity", "both")
@dataclass(frozen=True)
class Both:
    """Preferred and dis-preferred responses both move the policy."""

    negative_only: ClassVar[bool] = False

    def roles(self, reward_BK: Tensor) -> tuple[Tensor, Tensor]:
        """What a response is worth as the preferred one, and as the dis-preferred one."""
        return reward_BK, reward_BK

    def advantage(self, advantage_BKT: Tensor) -> Tensor:
        """Samples that did better than expected and worse ones drive a policy gradient."""
        return advantage_BKT

    def formula(self, reward: str) -> tuple[str, str]:
        return reward, reward
