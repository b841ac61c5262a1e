"""No policy loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("policy_loss", "none")
@dataclass(frozen=True)
class NoPolicyLoss:
    """For runs that take no policy gradient."""

    applies: ClassVar[bool] = False
    reads_ratio: ClassVar[bool] = False
