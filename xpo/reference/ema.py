"""A moving average of the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.model.loaded import fingerprint
from xpo.reference.moving import Moving
from xpo.reference.prepared import Prepared
from xpo.registry import register
from xpo.scoring.score import Scoring


@register("reference", "ema")
@dataclass(frozen=True)
class Ema:
    """ref <- rate policy + (1 - rate) ref every ``every`` optimizer steps, in weights.

    TR-DPO with soft updates: Gorbatovski et al. 2024, arXiv 2404.09656, eq. 6 (their alpha is ``rate``).
    """

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = False
    renewed: ClassVar[bool] = False  # made anew when a round begins
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = False
    cache: ClassVar[bool] = False

    rate: float = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be above 0 and below 1, got {self.rate} (1 is reference=previous)")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """A copy of the trained weights that moves towards the policy's."""
        moving = Moving(policy, self.rate, self.every)
        return Prepared(moving.host, scoring, fingerprint(policy), moving)
