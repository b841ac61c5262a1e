"""Responses of the optimum, by rejecting the policy's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from xpo.registry import register
from xpo.sampler.reject import from_pool, kept
from xpo.sampling.base import Sampled


@register("sampling", "rejection")
@dataclass(frozen=True)
class Rejection(Sampled):
    """Statistical rejection sampling. Liu et al. 2023 (RSO), arXiv 2309.06657, algorithm 1.

    Of each prompt's ``responses`` those stay that are accepted with probability exp((score - highest) /
    temper): what stays is distributed as the optimum of E[r] - temper KL(pi || policy). With ``highest`` null
    it is the largest score of the pool and ``keep`` of them stay, as published; that is biased towards the
    policy. A known ``highest`` gives the exact law, and then as many as are accepted stay.
    """

    by_policy: ClassVar[bool] = False  # what is kept is not distributed as what the policy says
    reads_values: ClassVar[bool] = True  # which responses stay depends on what they are worth

    keep: int = 8
    temper: float = 0.5
    highest: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.keep <= self.responses:
            raise ValueError(f"keep must be 1 to responses={self.responses}, got {self.keep}")
        if not 0 < self.temper < float("inf"):
            raise ValueError(f"temper must be above 0 and finite, got {self.temper}")

    @property
    def kept(self) -> int:
        return self.keep if self.highest is None else self.responses

    def choose(
        self, values: Sequence[Sequence[float]], generator: torch.Generator, turn: int
    ) -> list[list[int]]:
        return [self._stay(torch.tensor(scores, dtype=torch.float64), generator) for scores in values]

    def _stay(self, score_K: torch.Tensor, generator: torch.Generator) -> list[int]:
        if self.highest is None:
            return from_pool(score_K, self.temper, self.keep, generator).tolist()
        return kept(score_K, self.temper, self.highest, generator).tolist()
