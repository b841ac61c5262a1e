"""In rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from xpo.registry import register


@register("schedule", "iterative")
@dataclass(frozen=True)
class Iterative:
    """``rounds`` alignments, one after another, each going on from the last one's policy.

    A round trains on ``rows``: ``all`` of them, or its own chunk, cut ``in_order`` of the data or with the
    easy ones first: those whose preferred response the initial policy already finds likelier by most. Kim et
    al. 2024, arXiv 2403.19270, section 3. What a round's reference is says the group ``reference``: previous
    is the policy of the round before, frozen the initial one in all of them.
    """

    refreshes: ClassVar[bool] = True
    online: ClassVar[bool] = False  # samples are renewed within an alignment

    rounds: int = 2
    rows: Literal["all", "in_order", "easy_first"] = "all"

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds} (one round is schedule=offline)")

    @property
    def chunks(self) -> bool:
        """Whether rounds train on different rows."""
        return self.rows != "all"

    @property
    def by_difficulty(self) -> bool:
        """Whether chunks are cut from the easiest rows to the hardest."""
        return self.rows == "easy_first"
