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

    Where rows are sampled, they are so by the policy of the round before; those of ``replay`` earlier rounds
    are trained on along with them. ``begin=first``: every round trains the initial policy anew (Dong et al.
    2024, arXiv 2405.07863, and Gulcehre et al. 2023, arXiv 2308.08998). A round's learning rate is
    ``lr_decay`` times the last one's. ``keep_best`` names a metric of held-out data or of the gold world: the
    policy of the round in which it is highest is the result; null: the last one's.
    """

    refreshes: ClassVar[bool] = True
    online: ClassVar[bool] = False  # samples are renewed within an alignment

    rounds: int = 2
    rows: Literal["all", "in_order", "easy_first"] = "all"
    begin: Literal["last", "first"] = "last"
    replay: int = 0
    lr_decay: float = 1.0
    keep_best: str | None = None

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds} (one round is schedule=offline)")
        if self.replay < 0:
            raise ValueError(f"replay must be at least 0 rounds, got {self.replay}")
        if not 0 < self.lr_decay <= 1:
            raise ValueError(f"lr_decay must be above 0 and at most 1, got {self.lr_decay}")

    @property
    def restarts(self) -> bool:
        """Whether rounds begin with the initial policy."""
        return self.begin == "first"

    @property
    def chunks(self) -> bool:
        """Whether rounds train on different rows."""
        return self.rows != "all"

    @property
    def by_difficulty(self) -> bool:
        """Whether chunks are cut from the easiest rows to the hardest."""
        return self.rows == "easy_first"
