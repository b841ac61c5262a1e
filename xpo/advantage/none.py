"""No advantage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("advantage", "none")
@dataclass(frozen=True)
class NoAdvantage:
    """For runs that take no policy gradient."""

    applies: ClassVar[bool] = False
    several: ClassVar[bool] = False
    reads_value: ClassVar[bool] = False
    undiscounted: ClassVar[bool] = True
    to_go: ClassVar[bool] = False
