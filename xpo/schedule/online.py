"""Every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.schedule.base import Rollouts


@register("schedule", "online")
@dataclass(frozen=True)
class Online(Rollouts):
    """Rollouts, all run long."""

    rounds: ClassVar[int] = 1
