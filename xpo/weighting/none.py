"""Every row counts as its data say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.weighting.base import Weighting


@register("weighting", "none")
@dataclass(frozen=True)
class NoWeighting(Weighting):
    """The plain mean."""

    applies: ClassVar[bool] = False
