"""The policy's own reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.registry import register


@register("reward", "implicit")
@dataclass(frozen=True)
class Implicit:
    """reward = beta f'(u), up to a constant of the prompt. Rafailov et al. 2023, arXiv 2305.18290, eq. 5."""

    relabels: ClassVar[bool] = False  # labels are used as annotated
    reads_reward: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False  # rewards are a head's, no log-ratios
    gives_scores: ClassVar[bool] = False  # objectives of scores find them in the rows

    beta: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"beta must be above 0 and finite, got {self.beta}")

    def __call__(self, link_BK: Tensor) -> Tensor:
        return self.beta * link_BK

    def text(self, x: str) -> str:
        return f"{self.beta!r} * ({x})"

    def latex(self, x: str) -> str:
        return rf"{self.beta} \left({x}\right)"
