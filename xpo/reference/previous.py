"""The policy as it was some steps ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.model.loaded import fingerprint
from xpo.reference.moving import Moving
from xpo.reference.prepared import Prepared
from xpo.registry import register
from xpo.scoring.score import Scoring


@register("reference", "previous")
@dataclass(frozen=True)
class Previous:
    """The policy becomes its own reference when a round begins, and every ``every`` optimizer steps if given.

    By rounds: Kim et al. 2024, arXiv 2403.19270. By steps, TR-DPO with hard updates: Gorbatovski et al. 2024,
    arXiv 2404.09656, eq. 7 (their tau is ``every``).
    """

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = False
    cacheable: ClassVar[bool] = False
    cache: ClassVar[bool] = False

    renewed: ClassVar[bool] = True

    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")

    @property
    def by_rounds(self) -> bool:
        """It is the policy that the round before left, all round long."""
        return self.every is None

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """A copy of the trained weights, which jumps to the policy's if ``every`` says when."""
        moving = Moving(policy, 1.0, self.every)
        return Prepared(moving.host, scoring, fingerprint(policy), moving)
