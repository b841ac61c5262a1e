"""Nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("pretraining", "none")
@dataclass(frozen=True)
class NoPretraining:
    """The head begins with random weights."""

    applies: ClassVar[bool] = False
    imitation: ClassVar[float] = 0.0  # no likelihood beside it
