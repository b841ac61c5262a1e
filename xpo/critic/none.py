"""No critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.registry import register


@register("critic", "none")
@dataclass(frozen=True)
class NoCritic:
    """The policy alone is trained."""

    gives: ClassVar[frozenset[str]] = frozenset()
    every_state: ClassVar[bool] = False
    fits_returns: ClassVar[bool] = False  # learns what advantages are measured from

    def build(self, policy: Any, seed: int) -> None:
        """Nothing to train beside the policy."""
        return None
