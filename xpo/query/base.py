"""What chooses what is labelled: a labelling budget, and what the trained model says of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Told:
    """What a model says of a prompt's K responses: M members' log-odds that i beats j, and D features each.

    ``feature_KD`` (the last hidden state) is None where nobody reads it.
    """

    log_odds_MKK: Tensor
    feature_KD: Tensor | None = None


@dataclass(frozen=True)
class Budgeted:
    """``budget`` candidates, a prompt's responses each, are labelled in each round.

    Before the first labels nothing is known of any, so the first round's are ``drawn``, whatever the option.
    ``reads_odds``: later ones are chosen by what the trained model says; ``reads_features``: of hidden
    states, too; ``several``: of more than one member.
    """

    chooses: ClassVar[bool] = True  # some of the pool are labelled, not all
    reads_odds: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False
    several: ClassVar[bool] = False

    budget: int = 64

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ValueError(f"budget must be at least 1, got {self.budget}")

    def drawn(self, count: int, generator: torch.Generator) -> list[int]:
        """Places of a uniform draw from so many candidates, without replacement."""
        return torch.randperm(count, generator=generator)[: self.budget].tolist()

    def choose(
        self, candidates: Sequence[Told], labelled: Sequence[Told], generator: torch.Generator
    ) -> list[int]:
        """Places of the candidates that are labelled next, at most ``budget``; ``labelled`` are already."""
        raise NotImplementedError(f"{type(self).__name__} declares reads_odds, and chooses by nothing")


@dataclass(frozen=True)
class Ranked(Budgeted):
    """The candidates of the highest worth; of equal ones any."""

    reads_odds: ClassVar[bool] = True

    def worth(self, log_odds_MKK: Tensor) -> float:
        """What a label of this candidate would tell."""
        raise NotImplementedError

    def choose(
        self, candidates: Sequence[Told], labelled: Sequence[Told], generator: torch.Generator
    ) -> list[int]:
        worth_N = [self.worth(told.log_odds_MKK) for told in candidates]
        order = torch.randperm(len(worth_N), generator=generator).tolist()
        return sorted(order, key=lambda place: -worth_N[place])[: self.budget]


def pairs(size: int) -> Tensor:
    """Which i and j of K responses make the pairs: i < j, 2P. Raises ``ValueError`` for K < 2."""
    if size < 2:
        raise ValueError("one response makes no pair: a candidate needs at least 2")
    return torch.triu_indices(size, size, offset=1)


def of_pairs(value_KK: Tensor) -> float:
    """The mean of a symmetric matrix over pairs."""
    i_P, j_P = pairs(value_KK.shape[-1])
    return float(value_KK[i_P, j_P].mean())
