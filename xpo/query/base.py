"""What chooses what is labelled: a number for each candidate, and a budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Budgeted:
    """In each round ``budget`` of a pool are labelled, those with the highest ``worth``; of equal ones any.

    A candidate is a prompt with its K responses. Before the first labels nothing is known of any: the first
    round's are drawn, whatever the option. ``reads_odds``: worth is read of what the trained model says of
    pairs; ``several``: of more than one member of it.
    """

    chooses: ClassVar[bool] = True  # some of the pool are labelled, not all
    reads_odds: ClassVar[bool] = False
    several: ClassVar[bool] = False

    budget: int = 64

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ValueError(f"budget must be at least 1, got {self.budget}")

    @abstractmethod
    def worth(self, log_odds_MKK: Tensor) -> float:
        """What a label of this candidate would tell, from each of M members' log-odds that i beats j."""

    def choose(self, worth_N: Sequence[float], generator: torch.Generator) -> list[int]:
        """Places of the candidates that are labelled, at most ``budget``, the most telling first."""
        drawn = torch.randperm(len(worth_N), generator=generator).tolist()
        return sorted(drawn, key=lambda place: -worth_N[place])[: self.budget]


def of_pairs(value_KK: Tensor) -> float:
    """The mean of a symmetric matrix over pairs of different responses; ``ValueError`` for fewer than 2."""
    size = value_KK.shape[-1]
    if size < 2:
        raise ValueError("one response has no pair: a candidate needs at least 2")
    upper_KK = torch.ones(size, size, dtype=torch.bool).triu(1)
    return float(value_KK[upper_KK].mean())
