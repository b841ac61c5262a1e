"""The best of the policy's responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from xpo.registry import register
from xpo.sampling.base import Sampled


@register("sampling", "best_of_n")
@dataclass(frozen=True)
class BestOfN(Sampled):
    """Of each prompt's ``responses`` the ``keep`` best, or of all responses the best ``share``.

    Dong et al. 2023 (RAFT), arXiv 2304.06767, keep either; a share of all leaves hard prompts out altogether.
    ``share`` may be one for each round, the last one for those that follow: rising thresholds, as
    Gulcehre et al. 2023 (ReST), arXiv 2308.08998, have them. With neither the best one of each prompt stays.
    """

    by_policy: ClassVar[bool] = False  # what is kept is not distributed as what the policy says
    reads_values: ClassVar[bool] = True  # which responses stay depends on what they are worth
    by_round: ClassVar[str] = "share"

    keep: int | None = None
    share: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep is not None and self.share is not None:
            raise ValueError(f"keep or share says what stays, one of them; got {self.keep} and {self.share}")
        if self.keep is not None and not 1 <= self.keep <= self.responses:
            raise ValueError(f"keep must be 1 to responses={self.responses}, got {self.keep}")
        if self.share is not None and not (self.share and all(0 < part <= 1 for part in self.share)):
            raise ValueError(f"share must be numbers above 0 and at most 1, got {self.share}")

    @property
    def by_order(self) -> bool:
        return self.share is None

    @property
    def kept(self) -> int:
        return self.responses if self.share is not None else self.keep or 1

    def choose(
        self, values: Sequence[Sequence[float]], generator: torch.Generator, turn: int
    ) -> list[list[int]]:
        if self.share is None:
            return [_best(scores)[: self.kept] for scores in values]
        share = self.share[min(turn, len(self.share)) - 1]
        order = sorted((-v, b, k) for b, scores in enumerate(values) for k, v in enumerate(scores))
        chosen = {(b, k) for _, b, k in order[: max(1, round(share * len(order)))]}
        return [[k for k in _best(scores) if (b, k) in chosen] for b, scores in enumerate(values)]


def _best(scores: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda k: -scores[k])
