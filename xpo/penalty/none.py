"""No penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("penalty", "none")
@dataclass(frozen=True)
class NoPenalty:
    """The divergence, if there is one, acts nowhere on-policy."""

    applies: ClassVar[bool] = False
    in_reward: ClassVar[bool] = False
    in_loss: ClassVar[bool] = False
    linear_only: ClassVar[bool] = False
