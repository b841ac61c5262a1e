"""Nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("revision", "none")
@dataclass(frozen=True)
class NoRevision:
    """What is imitated is what the data bring."""

    applies: ClassVar[bool] = False
