"""Responses of the policy beside those of another player."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sampling.base import Sampled


@register("sampling", "duel")
@dataclass(frozen=True)
class Duel(Sampled):
    """``responses`` of the policy, and as many ``rivals`` that they are judged against.

    Rivals are drawn from policy^(1 - mix) reference^mix, token by token: 0 is the policy itself, 1 the
    reference. A policy gradient reinforces the policy's own alone, with their probability of winning against
    the rivals: Munos et al. 2023 (Nash-MD), arXiv 2312.00886, section 7. A loss of given rows has both in its
    rows: Xie et al. 2024 (XPO), arXiv 2405.21046, algorithm 1. ``average`` takes the place of the policy in
    this by an exponential average of its weights, which keeps that share of itself at each optimizer step
    (Nash-EMA, section 6; null: the policy as it stands).
    """

    by_policy: ClassVar[bool] = True  # what is reinforced is distributed as what the policy says
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth

    rivals: int = 8
    mix: float = 0.125
    average: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rivals < 1:
            raise ValueError(f"rivals must be at least 1, got {self.rivals} (see sampling=on_policy)")
        if not 0 <= self.mix <= 1:
            raise ValueError(f"mix must be 0 to 1, got {self.mix}")
        if self.average is not None and not 0 < self.average < 1:
            raise ValueError(f"average must be above 0 and below 1, got {self.average}")
        if self.average is not None and self.mix == 1:
            raise ValueError("average is not read with mix=1, where the reference is the rival")
