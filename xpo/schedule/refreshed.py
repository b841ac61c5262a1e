"""In rounds of rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xpo.registry import register
from xpo.schedule.base import Rollouts


@register("schedule", "refreshed")
@dataclass(frozen=True)
class Refreshed(Rollouts):
    """``rounds`` alignments of rollouts, one after another, each from the last one's policy.

    Iterated online RLHF: Bai et al. 2022, arXiv 2204.05862, section 4.5. Within a round responses are sampled
    as with schedule=online (``epochs``, ``minibatches``); between rounds the reward model of
    annotator=trained is renewed (annotator.refresh), and the reference of reference=previous.
    ``begin=first``: every round trains the initial policy anew, as in the paper. A round's learning rate is
    ``lr_decay`` times the last one's. ``keep_best`` names a metric of held-out data or of the gold world: the
    policy of the round in which it is highest is the result; null: the last one's. An adaptive coefficient
    and a multiplier begin each round as they are set.
    """

    rounds: int = 2
    begin: Literal["last", "first"] = "last"
    lr_decay: float = 1.0
    keep_best: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds} (one round is schedule=online)")
        if not 0 < self.lr_decay <= 1:
            raise ValueError(f"lr_decay must be above 0 and at most 1, got {self.lr_decay}")

    @property
    def restarts(self) -> bool:
        """Whether rounds begin with the initial policy."""
        return self.begin == "first"
