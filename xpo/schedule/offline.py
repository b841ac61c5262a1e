"""Never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("schedule", "offline")
@dataclass(frozen=True)
class Offline:
    """Labels and reference are fixed before training."""

    refreshes: ClassVar[bool] = False
    online: ClassVar[bool] = False  # samples are renewed within an alignment
    rounds: ClassVar[int] = 1
    chunks: ClassVar[bool] = False  # rounds train on different rows
    by_difficulty: ClassVar[bool] = False
    replay: ClassVar[int] = 0  # rounds whose samples are trained on again
